import { Backoff, IotError } from "@hubwire/protocol";
import type { BackoffPace, ErrorCode } from "@hubwire/protocol";
import type { CloseCause } from "@hubwire/transport";
import { channels } from "../observe/channels.ts";
import type { Settings } from "../options/settings.ts";
import { Takeover } from "./takeover.ts";

/** What a hub says, or a provider knows, that no waiting heals. */
const refusals: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "device.refused_not_authorized",
  "device.refused_credentials",
  "device.refused_identifier",
  "device.refused_protocol_version",
  "device.refused_unknown",
  "device.token_expired",
  "transport.client_certificate_rejected",
]);

const isRefusal = ({ code, retryable }: IotError): boolean =>
  refusals.has(code) || (code.startsWith("provisioning.") && !retryable);

/** The first refusal may be an old token, so the second try comes soon; from then on the hub has made up its mind. */
const refusalsAtUsualPace = 1;

/** How a connection, or an attempt to make one, ended. */
export type Ending = {
  cause: IotError;
  /** How the stream of an established connection ended; undefined when there was no connection. */
  lost: CloseCause | undefined;
  /** Whether the next attempt has something new to offer, so that it need not wait. */
  hopeful: boolean;
};

export type Verdict =
  | { what: "wait"; waitMs: number; cause: IotError; pace: BackoffPace }
  | { what: "give up"; cause: IotError };

/** Decides what follows an ending: how long to wait, at what pace, and when it is enough. */
export class Recovery {
  readonly #settings: Settings;
  readonly #backoff: Backoff;
  readonly #takeover = new Takeover();
  #attempts = 0;
  #refusals = 0;
  /** Monotonic: since when there is no connection. */
  #downSinceMs: number | undefined;
  #everConnected = false;
  #hurried = false;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#backoff = new Backoff(settings.retry);
  }

  /** When the next attempt is due; `Infinity` while none is waiting. */
  get attemptAtMs(): number {
    return this.#backoff.deadlineMs;
  }

  /** When a connection that is up counts as undisputed; `Infinity` when it does already. */
  get peaceAtMs(): number {
    return this.#takeover.peaceAtMs;
  }

  /** Attempts since the last connection, the one under way included. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Refusals in a row that no waiting heals. */
  get refusals(): number {
    return this.#refusals;
  }

  /** What a connection that came up in the middle of a fight has to say. */
  get dispute(): IotError | undefined {
    return this.#takeover.fighting ? this.#kickedOut(undefined) : undefined;
  }

  starting(nowMs: number): void {
    this.#backoff.started();
    this.#attempts += 1;
    this.#downSinceMs ??= nowMs;
  }

  connected(nowMs: number): void {
    const { stats } = this.#settings;
    stats.connects += 1;
    if (this.#everConnected && this.#attempts > 0) stats.reconnects += 1;
    this.#everConnected = true;
    this.#attempts = 0;
    this.#refusals = 0;
    this.#downSinceMs = undefined;
    this.#hurried = false;
    this.#backoff.succeeded(nowMs);
    this.#takeover.connected(nowMs);
  }

  peace(): void {
    this.#takeover.peace();
  }

  /** The waiting attempt comes by then. */
  hasten(atMs: number): void {
    this.#backoff.hasten(atMs);
  }

  /** Something changed that may heal what was refused: a new credential, a clock that was set. */
  hope(): void {
    this.#refusals = 0;
  }

  ended(ending: Ending, nowMs: number): Verdict {
    const cause = this.#named(ending, nowMs);
    if (isRefusal(cause)) this.#refusals += 1;
    this.#downSinceMs ??= nowMs;
    const enough = this.#enough(cause, ending, nowMs);
    if (enough !== undefined) return { what: "give up", cause: enough };
    const pace = this.#pace(cause);
    let waitMs = this.#backoff.failed(nowMs, this.#settings.random(), pace);
    // Once: what is new every time is not new.
    this.#hurried = ending.hopeful && !this.#hurried;
    if (this.#hurried) {
      waitMs = 0;
      this.#backoff.hasten(nowMs);
    }
    return { what: "wait", waitMs, cause, pace };
  }

  /** Counts it, and finds out whether it is one of a series. */
  #named({ cause, lost }: Ending, nowMs: number): IotError {
    const { stats } = this.#settings;
    const { device } = stats;
    if (cause.code === "device.refused_unavailable") {
      stats.throttled += 1;
      if (channels.throttled.hasSubscribers)
        channels.throttled.publish({ device, what: "connect" });
    }
    if (lost === undefined) {
      stats.connectFailures += 1;
      this.#takeover.attemptFailed();
      return cause;
    }
    const kicks = this.#takeover.ended(lost, nowMs);
    if (kicks === 0) return cause;
    stats.kicked += kicks;
    if (channels.kicked.hasSubscribers) channels.kicked.publish({ device });
    return this.#kickedOut(cause);
  }

  #kickedOut(cause: IotError | undefined): IotError {
    const { hostName, clientId } = this.#settings.endpoint;
    const text = `Another client seems to connect to ${hostName} as ${clientId}: the hub keeps closing this one's connection`;
    return new IotError("device.kicked_out", text, { cause });
  }

  #pace(cause: IotError): BackoffPace {
    if (cause.code === "device.refused_unavailable" || cause.code === "device.kicked_out") {
      return "slow";
    }
    const byHub = refusals.has(cause.code);
    return byHub && this.#refusals > refusalsAtUsualPace ? "slow" : "usual";
  }

  #enough(cause: IotError, { hopeful }: Ending, nowMs: number): IotError | undefined {
    const { failFast, retry, provisioner } = this.#settings;
    const mayHeal = cause.retryable || hopeful || provisioner?.mayHeal(cause) === true;
    if (!this.#everConnected && failFast && !mayHeal) return cause;
    if (this.#refusals >= retry.refusalsMax) {
      const text = `${cause.message}; ${this.#refusals} refusals in a row`;
      return new IotError(cause.code, text, { cause });
    }
    const downMs = nowMs - (this.#downSinceMs ?? nowMs);
    if (downMs >= retry.budgetMs) return gaveUp(`${downMs} ms without a connection`, cause);
    if (this.#attempts >= retry.attemptsMax) return gaveUp(`${this.#attempts} attempts`, cause);
    return this.#mayRetry(cause) ? undefined : gaveUp("retry.shouldRetry said no", cause);
  }

  #mayRetry(cause: IotError): boolean {
    const { retry, onError } = this.#settings;
    try {
      return retry.shouldRetry?.(cause, this.#attempts) !== false;
    } catch (error) {
      onError(error, "retry.shouldRetry");
      return false;
    }
  }
}

const gaveUp = (why: string, cause: IotError): IotError =>
  new IotError("device.gave_up", `Gave up after ${why}; last: ${cause.message}`, { cause });
