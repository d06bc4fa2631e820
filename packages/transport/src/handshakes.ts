import type { Socket } from "node:net";
import { formatAddress } from "./address.ts";
import type { RefusedConnection } from "./tls-listener.ts";

/**
 * The connections whose TLS handshake is under way, by address. Node keeps the socket of a handshake that failed or took too
 * long, and reports it as a TLS socket that may have lost its address already: here each such connection is closed, and
 * reported once with where it came from.
 */
export class Handshakes {
  readonly #onRefused: ((refused: RefusedConnection) => void) | undefined;
  readonly #open = new Map<string, Socket>();
  #isClosed = false;

  constructor(onRefused?: (refused: RefusedConnection) => void) {
    this.#onRefused = onRefused;
  }

  begin(socket: Socket): void {
    const address = formatAddress(socket.remoteAddress, socket.remotePort);
    if (this.#isClosed || address === "unknown") return void socket.destroy();
    this.#open.set(address, socket);
    socket.once("close", () => {
      if (this.#open.get(address) === socket) this.#refuse(address, "handshake_failed", undefined);
    });
  }

  /** False when it may not come in any more, because the listener was closed. */
  done(address: string): boolean {
    return this.#open.delete(address) && !this.#isClosed;
  }

  failed(socket: Socket, error: Error & { code?: string }): void {
    const address = formatAddress(socket.remoteAddress, socket.remotePort);
    socket.destroy();
    if (!this.#open.has(address)) return;
    const isTimeout = error.code === "ERR_TLS_HANDSHAKE_TIMEOUT";
    this.#refuse(address, isTimeout ? "handshake_timeout" : "handshake_failed", error);
  }

  close(): void {
    this.#isClosed = true;
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const socket of open) socket.destroy();
  }

  #refuse(address: string, reason: RefusedConnection["reason"], error: Error | undefined): void {
    this.#open.delete(address);
    this.#onRefused?.({ reason, address, error });
  }
}
