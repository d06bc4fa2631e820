import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { streamError } from "./socket-errors.ts";
import type { ByteStream, PeerInfo, StreamHandler } from "./stream.ts";

export type SocketStreamOptions = {
  /** How long `end` waits for the peer to take what is buffered and to close its side; default 5 s. */
  endTimeoutMs?: number;
};

/** What may still arrive after `end`; a peer that goes on and on is cut off. */
const lingerBytesMax = 1_048_576;

const owner = Symbol("SocketStream");
type OwnedSocket = (Socket | TLSSocket) & { [owner]?: SocketStream };

/**
 * A connected socket as a byte stream. `end` lingers: it sends FIN and goes on reading (and dropping) until the peer closes
 * too, because a close with unread input makes the kernel send RST, which can destroy the last bytes on their way to the peer.
 */
export class SocketStream implements ByteStream {
  readonly peer: PeerInfo;
  readonly #socket: OwnedSocket;
  readonly #endTimeoutMs: number;
  #handler: StreamHandler | undefined;
  #isEnding = false;
  #isClosed = false;
  #error: Error | undefined;
  #lingerBytes = 0;
  #endTimer: NodeJS.Timeout | undefined;

  constructor(socket: Socket | TLSSocket, peer: PeerInfo, options: SocketStreamOptions = {}) {
    this.peer = peer;
    this.#socket = socket;
    this.#endTimeoutMs = options.endTimeoutMs ?? 5_000;
    this.#socket[owner] = this;
    // Listeners shared by all sockets: five closures per idle connection would be memory for nothing.
    socket.on("drain", onDrain).on("end", onEnd).on("error", onError).on("close", onClose);
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
    if (this.#socket.destroyed) {
      // It died while nobody listened: tell, but not from inside this call.
      if (this.#isClosed) setImmediate(() => handler.onClosed(this.#error));
      return;
    }
    this.#socket.on("data", onData);
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isEnding || this.#socket.destroyed) return true;
    // False from the socket's own high mark on (64 KiB; 16 KiB before Node 22); then its "drain" follows.
    return this.#socket.write(bytes);
  }

  pause(): void {
    if (!this.#isEnding) this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#isEnding || this.#socket.destroyed) return;
    this.#isEnding = true;
    this.#socket.end();
    this.#socket.resume();
    this.#boundEnd();
  }

  destroy(): void {
    this.#isEnding = true;
    this.#socket.destroy();
  }

  #boundEnd(): void {
    this.#endTimer ??= setTimeout(onEndTimeout, this.#endTimeoutMs, this.#socket);
  }

  /** @internal Called by the shared listeners below. */
  static readonly events = {
    data(stream: SocketStream, bytes: Uint8Array): void {
      if (!stream.#isEnding) return stream.#handler?.onBytes(bytes);
      stream.#lingerBytes += bytes.length;
      if (stream.#lingerBytes > lingerBytesMax) stream.#socket.destroy();
    },
    drain(stream: SocketStream): void {
      if (!stream.#isEnding) stream.#handler?.onDrain();
    },
    /** The peer closed its side. Node now ends ours, and waits forever for a peer that does not read: this does not. */
    end(stream: SocketStream): void {
      stream.#boundEnd();
    },
    error(stream: SocketStream, error: Error): void {
      // After `end` the peer may cut as it likes: what happens then is no news to anybody.
      if (!stream.#isEnding) stream.#error ??= streamError(error, stream.peer);
    },
    close(stream: SocketStream): void {
      clearTimeout(stream.#endTimer);
      stream.#isClosed = true;
      stream.#handler?.onClosed(stream.#error);
    },
  };
}

function onData(this: OwnedSocket, bytes: Uint8Array): void {
  if (this[owner]) SocketStream.events.data(this[owner], bytes);
}
function onDrain(this: OwnedSocket): void {
  if (this[owner]) SocketStream.events.drain(this[owner]);
}
function onEnd(this: OwnedSocket): void {
  if (this[owner]) SocketStream.events.end(this[owner]);
}
function onError(this: OwnedSocket, error: Error): void {
  if (this[owner]) SocketStream.events.error(this[owner], error);
}
function onClose(this: OwnedSocket): void {
  if (this[owner]) SocketStream.events.close(this[owner]);
}
function onEndTimeout(socket: OwnedSocket): void {
  socket.destroy();
}
