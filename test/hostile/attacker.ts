import { once } from "node:events";
import { connect as tcpConnect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as tlsConnect, type TLSSocket } from "node:tls";
import type { SeededRandom } from "@hubwire/testkit";

/** How many connections share one TLS session: a full handshake costs five times a resumed one. */
const resumptions = 200;

/** Opens connections to one hub, of every kind, and sees to it that none outlives its attack. */
export class Attacker {
  readonly port: number;
  readonly #ca: string;
  #session: Buffer | undefined;
  #sessionUses = 0;
  #clientHello: Buffer | undefined;

  constructor(port: number, ca: string) {
    this.port = port;
    this.#ca = ca;
  }

  async tcp(): Promise<Socket> {
    const socket = tcpConnect({ host: "127.0.0.1", port: this.port, noDelay: true });
    socket.on("error", () => {});
    await Promise.race([once(socket, "connect"), once(socket, "close")]);
    return socket;
  }

  /** A TLS connection, or one that failed and is destroyed already. */
  async tls(random: SeededRandom): Promise<TLSSocket> {
    const tcp = await this.tcp();
    if (this.#sessionUses >= resumptions) this.#session = undefined;
    const socket = tlsConnect({
      socket: tcp,
      ca: this.#ca,
      servername: "localhost",
      ...(random.chance(0.05) ? { maxVersion: "TLSv1.2" as const } : { session: this.#session }),
    });
    this.#sessionUses += 1;
    socket.on("error", () => {});
    socket.on("session", (session: Buffer) => {
      if (this.#session !== undefined || socket.getProtocol() !== "TLSv1.3") return;
      this.#session = session;
      this.#sessionUses = 0;
    });
    tcp.on("close", () => socket.destroy());
    await Promise.race([once(socket, "secureConnect"), once(socket, "close")]);
    return socket;
  }

  /** What a client says first, as OpenSSL makes it. */
  async clientHello(): Promise<Buffer> {
    this.#clientHello ??= await new Promise<Buffer>((resolve) => {
      const wire = new Duplex({
        read() {},
        write(bytes: Buffer, _, done) {
          resolve(Buffer.from(bytes));
          done();
        },
      });
      tlsConnect({ socket: wire, servername: "localhost" }).on("error", () => {});
    });
    return Buffer.from(this.#clientHello);
  }
}

/** Waits until the other side closes, but not for long; then the connection ends one way or another. */
export async function leave(
  socket: Socket,
  random: SeededRandom,
  { patienceMs = 30, reading = true } = {},
): Promise<void> {
  if (reading) socket.resume();
  if (!socket.destroyed) {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, patienceMs)));
    await Promise.race([once(socket, "close").catch(() => {}), late]);
    clearTimeout(timer);
  }
  if (socket.destroyed) return;
  const closed = once(socket, "close").catch(() => {});
  if (random.chance(0.3)) socket.end();
  // Behind an end nobody answers it must go all the same.
  setTimeout(() => socket.destroy(), random.chance(0.5) ? 0 : 20);
  await closed;
}
