import type { Duplex } from "node:stream";
import type { ByteStream, PeerInfo, StreamHandler } from "@hubwire/transport";
import { IotError } from "@hubwire/protocol";
import type { RawData, WebSocket } from "ws";

const endTimeoutMs = 5_000;
/** RFC 6455 §7.4.1: a kind of data this endpoint does not take. */
const unsupportedData = 1003;
/** Pings are not answered while the peer leaves so much unread (bytes). */
const pongRoomBytes = 65_536;

/** A WebSocket's binary messages as one stream of bytes: where they begin and end means nothing (MQTT 3.1.1 §6). */
export class WebSocketStream implements ByteStream {
  readonly peer: PeerInfo;
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  #handler: StreamHandler | undefined;
  #early: Uint8Array[] = [];
  #isEnding = false;
  #isClosed = false;
  #error: Error | undefined;
  #endTimer: NodeJS.Timeout | undefined;

  constructor(webSocket: WebSocket, socket: Duplex, peer: PeerInfo) {
    this.peer = peer;
    this.#webSocket = webSocket;
    this.#socket = socket;
    webSocket.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    webSocket.on("ping", (data) => {
      if (socket.writableLength < pongRoomBytes) webSocket.pong(data, false);
    });
    webSocket.on("error", (error) => {
      if (!this.#isEnding) this.#error ??= error;
    });
    webSocket.on("close", () => this.#onClose());
    socket.on("drain", () => {
      if (!this.#isEnding) this.#handler?.onDrain();
    });
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
    if (this.#isClosed) {
      setImmediate(() => handler.onClosed(this.#error));
      return;
    }
    for (const bytes of this.#early.splice(0)) handler.onBytes(bytes);
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isEnding || this.#webSocket.readyState !== this.#webSocket.OPEN) return true;
    this.#webSocket.send(bytes, { binary: true });
    return !this.#socket.writableNeedDrain;
  }

  pause(): void {
    if (!this.#isEnding) this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }

  end(): void {
    if (this.#isEnding || this.#isClosed) return;
    this.#isEnding = true;
    this.#webSocket.resume();
    this.#webSocket.close();
    this.#endTimer = setTimeout(() => this.#webSocket.terminate(), endTimeoutMs);
  }

  destroy(): void {
    this.#isEnding = true;
    this.#webSocket.terminate();
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (this.#isEnding) return;
    if (!isBinary) {
      this.#error = new IotError("transport.websocket_text", "The peer sent a text message");
      this.#isEnding = true;
      this.#webSocket.close(unsupportedData);
      this.#endTimer = setTimeout(() => this.#webSocket.terminate(), endTimeoutMs);
      return;
    }
    // With the default binary type ws hands over one Buffer of its own.
    const bytes = data as Buffer;
    if (bytes.length === 0) return;
    if (this.#handler === undefined) this.#early.push(bytes);
    else this.#handler.onBytes(bytes);
  }

  #onClose(): void {
    clearTimeout(this.#endTimer);
    this.#isClosed = true;
    this.#handler?.onClosed(this.#error);
  }
}
