import type { IotError } from "@hubwire/protocol";
import { aborted, timedOut } from "../calls/errors.ts";
import type { Agenda, Machine } from "../connection/agenda.ts";
import type { Uplink } from "../connection/uplink.ts";
import type { DropReason } from "../observe/stats.ts";
import { callOf } from "./calls.ts";
import type { Ledger } from "./ledger.ts";
import type { Outgoing } from "./outgoing.ts";

/**
 * How long callers wait, and messages. One time for all of them: the nearest deadline, or an earlier one; only when it is
 * reached are they looked at one by one.
 */
export class Patience implements Machine {
  readonly #ledger: Ledger;
  readonly #uplink: Uplink;
  readonly #agenda: Agenda;
  #scanAtMs = Infinity;

  constructor(ledger: Ledger, uplink: Uplink, agenda: Agenda) {
    this.#ledger = ledger;
    this.#uplink = uplink;
    this.#agenda = agenda;
    agenda.add(this);
  }

  get deadlineMs(): number {
    return this.#scanAtMs;
  }

  /** A message waits from now on, or its caller does. */
  expect(message: Outgoing): void {
    const atMs = Math.min(message.deadlineMs, message.expiresAtMs);
    if (atMs >= this.#scanAtMs) return;
    this.#scanAtMs = atMs;
    this.#agenda.expect(atMs);
  }

  listen(message: Outgoing, signal: AbortSignal): void {
    message.signal = signal;
    message.onAbort = () => {
      if (message.waits === "nothing") return;
      this.#giveUp(message, aborted(callOf(message.waits), signal), "aborted");
      this.#ledger.flight.trim();
    };
    signal.addEventListener("abort", message.onAbort, { once: true });
  }

  tick(nowMs: number): void {
    if (nowMs < this.#scanAtMs) return;
    let nextMs = Infinity;
    const ledger = this.#ledger;
    ledger.each((message) => {
      if (message.waits !== "nothing") {
        if (message.deadlineMs <= nowMs) this.#giveUp(message, this.#late(message), "timed_out");
        else nextMs = Math.min(nextMs, message.deadlineMs);
      }
      if (message.state !== "queued") return;
      if (message.expiresAtMs <= nowMs) ledger.expired(message);
      else nextMs = Math.min(nextMs, message.expiresAtMs);
    });
    this.#scanAtMs = nextMs;
    ledger.flight.trim();
  }

  close(): void {
    this.#scanAtMs = Infinity;
  }

  /** Its caller waits no longer. What a durable outbox has accepted is sent all the same. */
  #giveUp(message: Outgoing, error: IotError, reason: DropReason): void {
    if (this.#ledger.store === undefined) this.#ledger.drop(message, error, reason);
    else this.#ledger.tell(message, error);
  }

  #late(message: Outgoing): IotError {
    const { cause } = this.#uplink;
    const text = `${callOf(message.waits)} (${this.#whereIs(message)})`;
    return timedOut(text, message.timeoutMs, cause === undefined ? undefined : { cause });
  }

  #whereIs({ state, isCommitted }: Outgoing): string {
    if (!isCommitted) return "not on disk yet";
    if (state === "sent") return "sent, not acknowledged";
    return this.#ledger.store === undefined ? "not sent" : "not sent; it stays in the outbox";
  }
}
