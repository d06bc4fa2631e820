import type { TLSSocket } from "node:tls";
import { IotError } from "@hubwire/protocol";
import { printable, streamError } from "@hubwire/transport";
import type { ByteStream, PeerInfo, StreamHandler } from "@hubwire/transport";
import type { RawData, WebSocket } from "ws";

/** How long `end` waits for the peer to take what is buffered and to close its side; as over TLS. */
const endTimeoutMs = 5_000;
/** What may still arrive after `end`; a peer that goes on and on is cut off. */
const lingerBytesMax = 1_048_576;

/** Close codes (RFC 6455 §7.4.1) of a peer that simply ended: normal, going away, no code, no close frame. */
const plainCodes: ReadonlySet<number> = new Set([1000, 1001, 1005, 1006]);

/**
 * An open WebSocket as a byte stream: one binary message for each write, messages of any cut read as one stream. Comes
 * paused, and reads from `start` on. Pings are answered by ws itself, which bounds the answers that wait.
 */
export class WebSocketStream implements ByteStream {
  readonly peer: PeerInfo;
  readonly #connection: WebSocket;
  readonly #socket: TLSSocket;
  #handler: StreamHandler | undefined;
  /** Read, and not handed on because of `pause`: at most what one read of the socket held. */
  #held: Uint8Array[] = [];
  #isPaused = true;
  #isEnding = false;
  #isClosed = false;
  #error: Error | undefined;
  #lingerBytes = 0;
  #endTimer: NodeJS.Timeout | undefined;

  constructor(connection: WebSocket, socket: TLSSocket, peer: PeerInfo) {
    this.peer = peer;
    this.#connection = connection;
    this.#socket = socket;
    socket.on("drain", () => {
      if (!this.#isEnding) this.#handler?.onDrain();
    });
    // ws keeps the socket's own errors to itself.
    socket.on("error", (error) => this.#failed(streamError(error, peer)));
    socket.on("end", () => this.#boundEnd());
    connection.on("message", (data, isBinary) => this.#received(data, isBinary));
    connection.on("error", (error) => this.#broken(error));
    connection.on("close", (code, reason) => this.#closed(code, reason));
  }

  get bufferedBytes(): number {
    return this.#connection.bufferedAmount;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
    // It died while nobody listened: tell, but not from inside this call.
    if (this.#isClosed) return void setImmediate(() => handler.onClosed(this.#error));
    this.resume();
  }

  write(bytes: Uint8Array): boolean {
    const { OPEN, readyState } = this.#connection;
    if (this.#isEnding || readyState !== OPEN || bytes.length === 0) return true;
    this.#connection.send(bytes);
    return !this.#socket.writableNeedDrain;
  }

  pause(): void {
    if (this.#isEnding) return;
    this.#isPaused = true;
    this.#connection.pause();
  }

  resume(): void {
    this.#isPaused = false;
    while (this.#held.length > 0 && !this.#isPaused) {
      this.#handler?.onBytes(this.#held.shift() as Uint8Array);
    }
    if (!this.#isPaused) this.#connection.resume();
  }

  end(): void {
    if (this.#isEnding || this.#isClosed) return;
    this.#isEnding = true;
    this.#held = [];
    this.#isPaused = false;
    this.#connection.close(1000);
    this.#connection.resume();
    this.#boundEnd();
  }

  destroy(): void {
    this.#isEnding = true;
    this.#held = [];
    this.#connection.terminate();
  }

  #received(data: RawData, isBinary: boolean): void {
    if (!isBinary) {
      const message = `${this.peer.address} sent a WebSocket text message; MQTT is binary`;
      return this.#reject(new IotError("transport.websocket_text", message), 1003);
    }
    // `binaryType` is "nodebuffer": a Buffer, whatever the type says.
    const bytes = data as Buffer;
    if (this.#isEnding) {
      this.#lingerBytes += bytes.length;
      if (this.#lingerBytes > lingerBytesMax) this.#connection.terminate();
    } else if (bytes.length > 0) {
      if (this.#isPaused) this.#held.push(bytes);
      else this.#handler?.onBytes(bytes);
    }
  }

  /** Frames that break the rules; ws has sent its close frame by now. */
  #broken(error: Error & { code?: string }): void {
    const isLarge = /^WS_ERR_UNSUPPORTED_(MESSAGE|DATA_PAYLOAD)_LENGTH$/.test(error.code ?? "");
    const code = isLarge ? "transport.websocket_too_large" : "transport.websocket_protocol";
    const message = `${this.peer.address} sent what cannot be taken: ${printable(error.message)}`;
    this.#reject(new IotError(code, message, { cause: error }));
  }

  #reject(error: IotError, closeCode?: number): void {
    this.#failed(error);
    if (closeCode !== undefined && !this.#isEnding) this.#connection.close(closeCode);
    this.#isEnding = true;
    // No waiting for the manners of a peer that has none.
    this.#connection.terminate();
  }

  #failed(error: Error): void {
    // After `end` the peer may cut as it likes: what happens then is no news to anybody.
    if (!this.#isEnding) this.#error ??= error;
  }

  #boundEnd(): void {
    this.#endTimer ??= setTimeout(() => this.#connection.terminate(), endTimeoutMs);
  }

  #closed(code: number, reason: Buffer): void {
    clearTimeout(this.#endTimer);
    this.#isClosed = true;
    this.#held = [];
    if (!plainCodes.has(code)) {
      const words = printable(`${code} ${reason.toString("utf8")}`);
      const message = `${this.peer.address} closed the WebSocket: ${words}`;
      this.#failed(new IotError("transport.websocket_closed", message));
    }
    this.#handler?.onClosed(this.#error);
  }
}
