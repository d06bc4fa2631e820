import { IotError } from "../errors/iot-error.ts";
import { Backoff } from "../retry/backoff.ts";
import type { BackoffOptions } from "../retry/backoff.ts";
import type { SubackCode } from "../mqtt/types.ts";
import {
  dpsAnswersFilter,
  dpsRegisterTopic,
  dpsStatusTopic,
  parseDpsAnswerTopic,
} from "./dps-topics.ts";
import { dpsRefusal, registrationFailure } from "./refusal.ts";
import { encodeRegisterBody, statusRequestBody } from "./register-body.ts";
import type { RegisterRequest } from "./register-body.ts";
import { assigned, parseDpsAnswer } from "./registration.ts";
import type { AssignedRegistration } from "./registration.ts";

export type ProvisioningMachineOptions = RegisterRequest & {
  /** From the start to the end, over as many connections as it takes. */
  timeoutMs: number;
  /** From a request to its answer; default 30 s, as in the official Node client. */
  answerTimeoutMs?: number | undefined;
  /** Between tries after 429, 5xx and other refusals that heal; default 1 s to 30 s. */
  backoff?: BackoffOptions | undefined;
  /** Numbers in [0, 1). */
  random: () => number;
  /** A request id nobody used before, on any connection. */
  newRid: () => string;
};

export type ProvisioningEffect =
  | { type: "subscribe"; filter: string }
  /** QoS 1. */
  | { type: "publish"; topic: string; payload: Uint8Array }
  /** The connection is of no use: the service does not answer on it. `lost`, and `connected` on another one, follow. */
  | { type: "reconnect"; cause: IotError }
  /** The last effect, or `failed` is. */
  | { type: "assigned"; registration: AssignedRegistration }
  /** @param retryAtMs the service asked not to be asked before; monotonic milliseconds */
  | { type: "failed"; error: IotError; retryAtMs: number };

const NONE: readonly ProvisioningEffect[] = [];
/** What the official Node client waits when an answer does not say. */
const pollMsDefault = 2_000;
/** The service allows five questions in ten seconds; one a second, if it says so itself, and never more. */
const pollMsMin = 1_000;

/**
 * One registration of a device with the provisioning service, without I/O. It outlives connections: a registration that is
 * under way is asked for again on the next one.
 *
 *     down ──connected()──▶ subscribing ──SUBACK──▶ asking ──202, 429, 5xx──▶ pausing ──▶ asking …
 *      ▲                                              │
 *      └──────────────── lost() ◀── no answer ────────┴──200──▶ assigned or failed
 *
 * Each request has a request id of its own and answers to any other are ignored. It settles by `timeoutMs`, whatever comes.
 */
export class ProvisioningMachine {
  readonly #options: ProvisioningMachineOptions;
  readonly #body: Uint8Array;
  readonly #backoff: Backoff;
  readonly #endMs: number;
  #link: "down" | "subscribing" | "up" = "down";
  #isOver = false;
  #rid: string | undefined;
  /** For SUBACK or for the answer to `#rid`. */
  #answerByMs = Infinity;
  #askAtMs: number;
  #operationId: string | undefined;
  #trouble: IotError | undefined;
  #ignored = 0;

  /** @throws IotError `argument.invalid` for a payload that cannot be sent */
  constructor(options: ProvisioningMachineOptions, nowMs: number) {
    this.#options = options;
    this.#body = encodeRegisterBody(options);
    this.#backoff = new Backoff(options.backoff);
    this.#endMs = nowMs + options.timeoutMs;
    this.#askAtMs = nowMs;
  }

  /** When `tick` is next worth calling; `Infinity` when never. Monotonic milliseconds. */
  get deadlineMs(): number {
    if (this.#isOver) return Infinity;
    return Math.min(this.#endMs, this.#answerByMs, this.#isIdle ? this.#askAtMs : Infinity);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Messages that answered nothing that was asked. */
  get ignored(): number {
    return this.#ignored;
  }

  /** There is a connection with an accepted CONNECT. */
  connected(nowMs: number): readonly ProvisioningEffect[] {
    if (this.#isOver) return NONE;
    this.#link = "subscribing";
    this.#expectAnswer(nowMs);
    return [{ type: "subscribe", filter: dpsAnswersFilter }];
  }

  subscribed(granted: readonly SubackCode[], nowMs: number): readonly ProvisioningEffect[] {
    if (this.#isOver || this.#link !== "subscribing") return NONE;
    if (granted[0] === undefined || granted[0] === 0x80) {
      const text = "The provisioning service did not grant the subscription to its answers";
      return this.#fail(new IotError("provisioning.subscription_refused", text), nowMs);
    }
    this.#link = "up";
    this.#answerByMs = Infinity;
    return this.#ask(nowMs);
  }

  /** The connection is gone; what was asked on it is asked again. */
  lost(_nowMs: number): void {
    this.#link = "down";
    this.#rid = undefined;
    this.#answerByMs = Infinity;
  }

  message(topic: string, payload: Uint8Array, nowMs: number): readonly ProvisioningEffect[] {
    const answer = parseDpsAnswerTopic(topic);
    if (this.#isOver || answer.type === "unknown" || answer.rid !== this.#rid) {
      this.#ignored += 1;
      return NONE;
    }
    this.#rid = undefined;
    this.#answerByMs = Infinity;
    const { status, retryAfterS } = answer;
    try {
      return status >= 200 && status < 300
        ? this.#accepted(status, payload, retryAfterS, nowMs)
        : this.#refused(dpsRefusal(status, payload), status, retryAfterS, nowMs);
    } catch (error) {
      if (error instanceof IotError) return this.#fail(error, nowMs);
      throw error;
    }
  }

  /** Harmless when early or repeated. */
  tick(nowMs: number): readonly ProvisioningEffect[] {
    if (this.#isOver) return NONE;
    if (nowMs >= this.#endMs) return this.#fail(this.#tooSlow(), nowMs);
    if (nowMs >= this.#answerByMs) {
      const what = this.#link === "subscribing" ? "SUBSCRIBE" : "a request";
      const timeoutMs = this.#answerTimeoutMs;
      this.#trouble = new IotError(
        "provisioning.timeout",
        `The provisioning service left ${what} unanswered for ${timeoutMs} ms`,
      );
      this.lost(nowMs);
      return [{ type: "reconnect", cause: this.#trouble }];
    }
    return this.#ask(nowMs);
  }

  get #answerTimeoutMs(): number {
    return this.#options.answerTimeoutMs ?? 30_000;
  }

  get #isIdle(): boolean {
    return this.#link === "up" && this.#rid === undefined;
  }

  #expectAnswer(nowMs: number): void {
    this.#answerByMs = nowMs + this.#answerTimeoutMs;
  }

  #ask(nowMs: number): readonly ProvisioningEffect[] {
    if (!this.#isIdle || nowMs < this.#askAtMs) return NONE;
    const rid = this.#options.newRid();
    const operationId = this.#operationId;
    this.#rid = rid;
    this.#expectAnswer(nowMs);
    return operationId === undefined
      ? [{ type: "publish", topic: dpsRegisterTopic(rid), payload: this.#body }]
      : [
          {
            type: "publish",
            topic: dpsStatusTopic(rid, operationId),
            payload: statusRequestBody(),
          },
        ];
  }

  #accepted(
    status: number,
    payload: Uint8Array,
    retryAfterS: number | undefined,
    nowMs: number,
  ): readonly ProvisioningEffect[] {
    const answer = parseDpsAnswer(payload);
    this.#operationId = answer.operationId ?? this.#operationId;
    if (answer.status === "assigned") {
      const registration = assigned(answer.registration);
      this.#isOver = true;
      return [{ type: "assigned", registration }];
    }
    const isPending =
      answer.status === "assigning" || (answer.status === "unassigned" && status !== 200);
    if (!isPending) {
      return this.#fail(
        registrationFailure(answer.registration ?? { status: answer.status }),
        nowMs,
      );
    }
    if (this.#operationId === undefined) {
      throw new IotError("provisioning.bad_answer", "The answer names no operation to ask for");
    }
    this.#backoff.reset();
    this.#trouble = undefined;
    const waitMs = retryAfterS === undefined ? pollMsDefault : retryAfterS * 1000;
    return this.#pause(Math.max(waitMs, pollMsMin), nowMs);
  }

  #refused(
    error: IotError,
    status: number,
    retryAfterS: number | undefined,
    nowMs: number,
  ): readonly ProvisioningEffect[] {
    const isForgotten =
      error.code === "provisioning.operation_lost" ||
      (status === 404 && this.#operationId !== undefined);
    if (isForgotten) this.#operationId = undefined;
    else if (!error.retryable) return this.#fail(error, nowMs);
    this.#trouble = error;
    // Beyond what it asks for a random time more: the devices it sends away together must not come back together.
    const backoffMs = this.#backoff.failed(nowMs, this.#options.random());
    return this.#pause((retryAfterS ?? 0) * 1000 + backoffMs, nowMs);
  }

  /** A pause that outlasts the deadline is not sat out: whoever drives this comes back later, without a connection meanwhile. */
  #pause(waitMs: number, nowMs: number): readonly ProvisioningEffect[] {
    this.#askAtMs = nowMs + waitMs;
    if (this.#askAtMs < this.#endMs) return NONE;
    return this.#fail(this.#trouble ?? this.#tooSlow(), nowMs);
  }

  #tooSlow(): IotError {
    const { timeoutMs } = this.#options;
    const last = this.#trouble === undefined ? "" : `; last: ${this.#trouble.message}`;
    return new IotError("provisioning.timeout", `Not provisioned within ${timeoutMs} ms${last}`, {
      cause: this.#trouble,
    });
  }

  #fail(error: IotError, nowMs: number): readonly ProvisioningEffect[] {
    this.#isOver = true;
    return [{ type: "failed", error, retryAtMs: Math.max(this.#askAtMs, nowMs) }];
  }
}
