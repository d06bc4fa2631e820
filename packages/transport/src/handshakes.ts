import type { Socket } from "node:net";
import { formatAddress } from "./address.ts";
import type { RefusedConnection } from "./tls-listener.ts";

type Handshake = { socket: Socket; deadlineMs: number };

/**
 * The connections whose TLS handshake is under way, with one deadline each and one timer for all: they begin in order, so
 * they time out in order. Node's own handshake timeout is a second net below: it reports, but closes nothing.
 */
export class Handshakes {
  readonly #timeoutMs: number;
  readonly #onRefused: ((refused: RefusedConnection) => void) | undefined;
  readonly #open = new Map<string, Handshake>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(timeoutMs: number, onRefused?: (refused: RefusedConnection) => void) {
    this.#timeoutMs = timeoutMs;
    this.#onRefused = onRefused;
  }

  begin(socket: Socket): void {
    const address = formatAddress(socket.remoteAddress, socket.remotePort);
    if (this.#isClosed || address === "unknown") return void socket.destroy();
    this.#open.set(address, { socket, deadlineMs: performance.now() + this.#timeoutMs });
    socket.once("close", () => this.#forget(address, socket));
    this.#arm();
  }

  /** False when it may not come in any more: too late, or the listener was closed. */
  done(address: string): boolean {
    return this.#open.delete(address) && !this.#isClosed;
  }

  failed(socket: Socket, error: Error & { code?: string }): void {
    const address = formatAddress(socket.remoteAddress, socket.remotePort);
    const known = this.#open.get(address);
    this.#open.delete(address);
    socket.destroy();
    known?.socket.destroy();
    const reason =
      error.code === "ERR_TLS_HANDSHAKE_TIMEOUT" ? "handshake_timeout" : "handshake_failed";
    this.#onRefused?.({ reason, address, error });
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const { socket } of this.#open.values()) socket.destroy();
    this.#open.clear();
  }

  #forget(address: string, socket: Socket): void {
    if (this.#open.get(address)?.socket === socket) this.#open.delete(address);
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    for (const first of this.#open.values()) {
      const delayMs = Math.max(1, first.deadlineMs - performance.now());
      this.#timer = setTimeout(() => this.#sweep(), delayMs);
      return;
    }
  }

  #sweep(): void {
    this.#timer = undefined;
    const nowMs = performance.now();
    for (const [address, { socket, deadlineMs }] of this.#open) {
      if (deadlineMs > nowMs) break;
      this.#open.delete(address);
      socket.destroy();
      this.#onRefused?.({ reason: "handshake_timeout", address, error: undefined });
    }
    this.#arm();
  }
}
