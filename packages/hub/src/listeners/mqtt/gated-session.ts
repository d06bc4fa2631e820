import type { ServerEffect, ServerSession, Session } from "@hubwire/protocol";

const nothing: readonly ServerEffect[] = Object.freeze([]);

/**
 * The session as its driver sees it, with a gate: while it is shut the driver stops reading, as it does when too many
 * receipts are open. A client is not blamed for silence that is ours: its keep-alive starts over when the gate opens.
 */
export class GatedSession implements Session<ServerEffect> {
  readonly #session: ServerSession;
  #isShut = false;
  /** Keep-alive time-outs before this moment (monotonic ms) do not count. */
  #mercyUntilMs = -Infinity;

  constructor(session: ServerSession) {
    this.#session = session;
  }

  shut(): void {
    this.#isShut = true;
  }

  open(nowMs: number, keepAliveTimeoutMs: number): void {
    if (!this.#isShut) return;
    this.#isShut = false;
    this.#mercyUntilMs = nowMs + keepAliveTimeoutMs;
  }

  receive(bytes: Uint8Array, nowMs: number): readonly ServerEffect[] {
    return this.#session.receive(bytes, nowMs);
  }

  tick(nowMs: number): readonly ServerEffect[] {
    return nowMs < this.deadlineMs ? nothing : this.#session.tick(nowMs);
  }

  get deadlineMs(): number {
    return this.#isShut ? Infinity : Math.max(this.#session.deadlineMs, this.#mercyUntilMs);
  }

  get hasOutput(): boolean {
    return this.#session.hasOutput;
  }

  takeOutput(): Uint8Array | undefined {
    return this.#session.takeOutput();
  }

  get openReceipts(): number {
    return this.#isShut ? Infinity : this.#session.openReceipts;
  }
}
