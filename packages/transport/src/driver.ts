import type { CloseEffect, ErrorCode, Session } from "@hubwire/protocol";
import { dirtyListOf } from "./dirty-list.ts";
import type { DirtyList } from "./dirty-list.ts";
import type { Clock, Timer } from "./clock.ts";
import type { ByteStream, StreamHandler } from "./stream.ts";

/** Why a connection ended: this side's session decided it, or the peer (or the network) did. */
export type CloseCause =
  | { by: "session"; code: ErrorCode; reason: string }
  | { by: "peer"; error: Error | undefined };

export type DriverOptions<Effect extends { readonly type: string }> = {
  session: Session<Effect>;
  stream: ByteStream;
  clock: Clock;
  /** What the session made of bytes or of time, in order; a `close` effect is among them, last. */
  onEffects: (effects: readonly Effect[]) => void;
  /** Called once, last. The socket may linger a moment longer, to get the final bytes across. */
  onClosed: (cause: CloseCause) => void;
  /** `writable` was false and is true again. */
  onWritable?: () => void;
  /** Reading stops above so many unacknowledged incoming messages, and goes on below half; default 1,000. */
  receiptsMax?: number;
  /** Reading stops above so many bytes the peer has not taken, and goes on below half; default 1 MiB. */
  bufferedBytesMax?: number;
  /** A peer that leaves more than `bufferedBytesMax` untaken for so long is cut off; default 30 s. */
  slowReaderTimeoutMs?: number;
};

/** Beyond so many times `bufferedBytesMax` a peer is cut off at once: the bound on memory for one connection. */
const hardFactor = 8;

/**
 * Binds one session to one stream and one clock: bytes in, effects out, one write per connection and turn of the event
 * loop, one timer.
 *
 * Back-pressure has two directions. Too many open receipts, or too much that the peer has not read yet: reading stops, so
 * the peer cannot make this side produce more. What this side produces by itself (cloud-to-device messages, methods) should
 * wait while `writable` is false; a peer that then reads nothing for `slowReaderTimeoutMs`, or makes eight times
 * `bufferedBytesMax` pile up, is closed with `transport.slow_reader`.
 */
export class Driver<Effect extends { readonly type: string }> implements StreamHandler {
  readonly session: Session<Effect>;
  readonly stream: ByteStream;
  readonly #clock: Clock;
  readonly #dirty: DirtyList;
  readonly #onEffects: DriverOptions<Effect>["onEffects"];
  readonly #onClosed: DriverOptions<Effect>["onClosed"];
  readonly #onWritable: (() => void) | undefined;
  readonly #receiptsMax: number;
  readonly #bufferedBytesMax: number;
  readonly #slowReaderTimeoutMs: number;
  readonly #onTimer = (): void => this.#timerFired();
  #state: "new" | "open" | "closed" = "new";
  #isDirty = false;
  #isPaused = false;
  /** The stream said stop and has not said go on: only then may waiting bytes stop anything, because only then a drain comes. */
  #isStreamFull = false;
  #wasWritable = true;
  #timer: Timer | undefined;
  #armedMs = Infinity;
  /** When the peer counts as a slow reader; Infinity while it keeps up. */
  #slowAtMs = Infinity;

  constructor(options: DriverOptions<Effect>) {
    this.session = options.session;
    this.stream = options.stream;
    this.#clock = options.clock;
    this.#dirty = dirtyListOf(options.clock);
    this.#onEffects = options.onEffects;
    this.#onClosed = options.onClosed;
    this.#onWritable = options.onWritable;
    this.#receiptsMax = options.receiptsMax ?? 1_000;
    this.#bufferedBytesMax = options.bufferedBytesMax ?? 1_048_576;
    this.#slowReaderTimeoutMs = options.slowReaderTimeoutMs ?? 30_000;
  }

  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /** False while the peer has more than `bufferedBytesMax` still to take: produce nothing new for it until `onWritable`. */
  get writable(): boolean {
    return this.#state !== "closed" && !this.#isOverfull();
  }

  /** Starts reading, sends what the session already has to say, arms the timer. Call once. */
  start(): void {
    if (this.#state !== "new") return;
    this.#state = "open";
    this.stream.start(this);
    this.flush();
  }

  /** The session was called directly (publish, ack …): its output leaves, and its deadline counts, at the end of this turn. */
  touch(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    this.#dirty.add(this);
  }

  /** As `touch`, now: for the place where a commit completed and the turn is over anyway. */
  flush(): void {
    if (this.#state !== "open") return;
    this.#writeOutput();
    this.#settle();
  }

  /** @internal The clock's turn is over; called by the list `touch` put this in. */
  endTurn(): void {
    this.#isDirty = false;
    this.flush();
  }

  /** Effects that a direct call of the session returned: handled like those of `receive`. */
  apply(effects: readonly Effect[]): void {
    if (this.#state !== "open") return;
    if (effects.length > 0) this.#deliver(effects);
    this.touch();
  }

  /** Ends the connection from this side: what the session has to say is sent first. */
  close(code: ErrorCode, reason: string): void {
    if (this.#state === "closed") return;
    if (this.#state === "open") this.#writeOutput();
    this.stream.end();
    this.#finish({ by: "session", code, reason });
  }

  /** Cuts the connection; what was not sent yet is lost. */
  destroy(code: ErrorCode, reason: string): void {
    if (this.#state === "closed") return;
    this.stream.destroy();
    this.#finish({ by: "session", code, reason });
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#state !== "open") return;
    const effects = this.session.receive(bytes, this.#clock.nowMs());
    if (effects.length > 0) this.#deliver(effects);
    if (this.#state !== "open") return;
    this.touch();
    if (!this.#isPaused && this.#mustPause()) this.#pause();
  }

  onDrain(): void {
    this.#isStreamFull = false;
    if (this.#state === "open") this.#settle();
  }

  onClosed(error: Error | undefined): void {
    if (this.#state !== "closed") this.#finish({ by: "peer", error });
  }

  #deliver(effects: readonly Effect[]): void {
    const last = effects[effects.length - 1] as Effect | CloseEffect | undefined;
    this.#onEffects(effects);
    if (last !== undefined && isClose(last)) this.close(last.code, last.reason);
  }

  #writeOutput(): void {
    if (!this.session.hasOutput) return;
    const output = this.session.takeOutput();
    if (output !== undefined && !this.stream.write(output)) this.#isStreamFull = true;
  }

  #isOverfull(): boolean {
    return this.#isStreamFull && this.stream.bufferedBytes > this.#bufferedBytesMax;
  }

  /** Everything that depends on how full things are and on what time it is. */
  #settle(): void {
    if (this.#isOverfull()) {
      this.#wasWritable = false;
      if (this.stream.bufferedBytes > hardFactor * this.#bufferedBytesMax)
        return this.#cutSlowReader();
      if (this.#slowAtMs === Infinity)
        this.#slowAtMs = this.#clock.nowMs() + this.#slowReaderTimeoutMs;
    } else this.#slowAtMs = Infinity;
    if (!this.#isPaused) {
      if (this.#mustPause()) this.#pause();
    } else if (this.#mayResume()) {
      this.#isPaused = false;
      this.stream.resume();
    }
    this.#arm();
    if (!this.#wasWritable && this.#isHalfEmpty()) {
      this.#wasWritable = true;
      this.#onWritable?.();
    }
  }

  #mustPause(): boolean {
    return this.session.openReceipts > this.#receiptsMax || this.#isOverfull();
  }

  #mayResume(): boolean {
    return this.session.openReceipts <= this.#receiptsMax / 2 && this.#isHalfEmpty();
  }

  #isHalfEmpty(): boolean {
    return !this.#isStreamFull || this.stream.bufferedBytes <= this.#bufferedBytesMax / 2;
  }

  #pause(): void {
    this.#isPaused = true;
    this.stream.pause();
  }

  /** Only a deadline that came nearer costs a timer: one that moved away is found when the old timer fires, early. */
  #arm(): void {
    const deadlineMs = Math.min(this.session.deadlineMs, this.#slowAtMs);
    if (deadlineMs >= this.#armedMs) return;
    this.#timer?.cancel();
    this.#armedMs = deadlineMs;
    this.#timer = this.#clock.at(deadlineMs, this.#onTimer);
  }

  #timerFired(): void {
    this.#armedMs = Infinity;
    this.#timer = undefined;
    if (this.#state !== "open") return;
    const nowMs = this.#clock.nowMs();
    if (nowMs >= this.#slowAtMs && this.#isOverfull()) return this.#cutSlowReader();
    if (nowMs >= this.session.deadlineMs) {
      const effects = this.session.tick(nowMs);
      if (effects.length > 0) this.#deliver(effects);
    }
    this.touch();
  }

  #cutSlowReader(): void {
    const bytes = this.stream.bufferedBytes;
    this.destroy("transport.slow_reader", `${bytes} bytes wait for a peer that does not take them`);
  }

  #finish(cause: CloseCause): void {
    this.#state = "closed";
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#onClosed(cause);
  }
}

function isClose(effect: { readonly type: string }): effect is CloseEffect {
  return effect.type === "close";
}
