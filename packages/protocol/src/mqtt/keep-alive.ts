/**
 * The client's side of keep alive (§3.1.2.10). A PINGREQ is due when nothing was sent for an interval, which the server
 * demands [MQTT-3.1.2-23], and also when nothing was received for one, so that a client that only publishes notices a
 * connection whose other half is dead. Any byte received while a ping is open extends its time: a slow link that is
 * busy with a large message is alive.
 */
export class KeepAlive {
  readonly #intervalMs: number;
  readonly #pingTimeoutMs: number;
  #lastSentMs: number;
  #lastReceivedMs: number;
  /** When the open PINGREQ was sent, or Infinity. */
  #pingSentMs = Infinity;
  /** Until then something has to arrive, because somebody doubts the connection. */
  #probeDeadMs = Infinity;

  /** @param intervalMs `Infinity` for no keep alive */
  constructor(intervalMs: number, pingTimeoutMs: number, nowMs: number) {
    this.#intervalMs = intervalMs;
    this.#pingTimeoutMs = pingTimeoutMs;
    this.#lastSentMs = nowMs;
    this.#lastReceivedMs = nowMs;
  }

  sent(nowMs: number): void {
    this.#lastSentMs = nowMs;
  }

  received(nowMs: number): void {
    this.#lastReceivedMs = nowMs;
    this.#probeDeadMs = Infinity;
  }

  /** A PINGREQ is sent now, and anything at all has to come back in time; a probe under way is not put off. */
  probe(nowMs: number, timeoutMs: number): void {
    this.#lastSentMs = nowMs;
    if (this.#pingSentMs === Infinity) this.#pingSentMs = nowMs;
    this.#probeDeadMs = Math.min(this.#probeDeadMs, nowMs + timeoutMs);
  }

  pingresp(): void {
    this.#pingSentMs = Infinity;
  }

  get #pingDueMs(): number {
    const open = this.#pingSentMs !== Infinity;
    return (
      this.#intervalMs +
      (open ? this.#lastSentMs : Math.min(this.#lastSentMs, this.#lastReceivedMs))
    );
  }

  get #deadMs(): number {
    const pingDeadMs = Math.max(this.#pingSentMs, this.#lastReceivedMs) + this.#pingTimeoutMs;
    return Math.min(pingDeadMs, this.#probeDeadMs);
  }

  get deadlineMs(): number {
    return Math.min(this.#pingDueMs, this.#deadMs);
  }

  /** What the time demands: a PINGREQ, or to give the connection up. */
  tick(nowMs: number): "ping" | "dead" | undefined {
    if (nowMs >= this.#deadMs) return "dead";
    if (nowMs < this.#pingDueMs) return undefined;
    this.#lastSentMs = nowMs;
    if (this.#pingSentMs === Infinity) this.#pingSentMs = nowMs;
    return "ping";
  }
}
