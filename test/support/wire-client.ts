import { connect as tcpConnect, type Socket } from "node:net";
import { connect as tlsConnect, type TLSSocket } from "node:tls";
import mqttPacket, { type Packet } from "mqtt-packet";

export type WireOptions = {
  port: number;
  /** PEM of the CA the hub's certificate leads to. */
  ca: string;
  /** PEM, for X.509. */
  cert?: string | undefined;
  key?: string | undefined;
  maxVersion?: "TLSv1.2" | "TLSv1.3";
  /** Of an earlier connection, to be resumed. */
  session?: Buffer;
};

/** A TLS connection and the TCP connection under it, which can be cut without a goodbye. */
export function openTls(options: WireOptions): Promise<{ socket: TLSSocket; tcp: Socket }> {
  const { port, ...tls } = options;
  return new Promise((resolve, reject) => {
    const tcp = tcpConnect({ host: "127.0.0.1", port, noDelay: true });
    tcp.once("error", reject);
    const socket = tlsConnect({ socket: tcp, servername: "localhost", ...tls });
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      // What kind of end it was is told by "close".
      for (const each of [tcp, socket]) {
        each.removeListener("error", reject);
        each.on("error", () => {});
      }
      resolve({ socket, tcp });
    });
  });
}

type End = "end" | "reset";
/** A packet as `mqtt-packet` reads it, or the end of the connection: `{ cmd: "closed", how }`. */
export type Arrival = { cmd: string; [field: string]: unknown };

/**
 * The far end of a real TLS connection: sends packets or any bytes, and hands over what comes back in its order, the end of the
 * connection last. Reads with `mqtt-packet`, so that the hub's own codec is not its own judge.
 */
export class WireClient {
  readonly socket: TLSSocket;
  /** As the hub's log names this connection. */
  readonly address: string;
  readonly #tcp: Socket;
  readonly #parser = mqttPacket.parser({ protocolVersion: 4 });
  readonly #arrived: Arrival[] = [];
  #wake: (() => void) | undefined;
  #sawEnd = false;
  #sawReset = false;

  private constructor(socket: TLSSocket, tcp: Socket) {
    this.socket = socket;
    this.#tcp = tcp;
    this.address = `127.0.0.1:${tcp.localPort}`;
    this.#parser.on("packet", (packet: Packet) => this.#push({ ...packet }));
    socket.on("data", (bytes: Buffer) => void this.#parser.parse(bytes));
    socket.on("end", () => (this.#sawEnd = true));
    for (const each of [socket, tcp]) each.on("error", () => (this.#sawReset = true));
    socket.on("close", () => {
      this.#push({ cmd: "closed", how: this.#sawEnd && !this.#sawReset ? "end" : "reset" });
    });
  }

  static async connect(options: WireOptions): Promise<WireClient> {
    const { socket, tcp } = await openTls(options);
    return new WireClient(socket, tcp);
  }

  send(...packets: (Packet | Uint8Array)[]): void {
    const bytes = packets.map((packet) =>
      packet instanceof Uint8Array ? packet : mqttPacket.generate(packet),
    );
    this.socket.write(Buffer.concat(bytes));
  }

  /** The next packet, or the end. */
  async next(): Promise<Arrival> {
    for (;;) {
      const arrival = this.#arrived[0];
      if (arrival !== undefined) {
        // The end stays the end.
        if (arrival.cmd !== "closed") this.#arrived.shift();
        return arrival;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Everything until the connection is closed. */
  async rest(): Promise<Arrival[]> {
    const all: Arrival[] = [];
    for (;;) {
      const arrival = await this.next();
      if (arrival.cmd === "closed") return all;
      all.push(arrival);
    }
  }

  async closed(): Promise<End> {
    for (;;) {
      const arrival = await this.next();
      if (arrival.cmd === "closed") return arrival["how"] as End;
    }
  }

  /** The network goes away, as a crash or a lost radio link looks to the hub: no DISCONNECT, no TLS goodbye. */
  cut(): void {
    this.#tcp.resetAndDestroy();
  }

  /** Bytes given to the system, TLS overhead included. */
  get bytesSent(): number {
    return this.#tcp.bytesWritten;
  }

  async disconnect(): Promise<void> {
    this.send({ cmd: "disconnect" });
    await this.closed();
  }

  #push(arrival: Arrival): void {
    this.#arrived.push(arrival);
    this.#wake?.();
  }
}
