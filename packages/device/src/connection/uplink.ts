import { Backoff, ClientSession, IotError } from "@hubwire/protocol";
import type { ClientEffect, ErrorCode } from "@hubwire/protocol";
import { Driver } from "@hubwire/transport";
import type { ByteStream, CloseCause } from "@hubwire/transport";
import type { Password } from "../credentials/credentials.ts";
import type { Settings } from "../options/settings.ts";
import type { Agenda, Machine } from "./agenda.ts";
import { attemptError, closeError, refusalError } from "./refusal.ts";
import type { DeviceStatus } from "./status.ts";
import { TokenClock } from "./token-clock.ts";

/** What the features of a device hear from its connection, in this order. */
export interface UplinkOwner {
  connected(nowMs: number): void;
  /** A message, an acknowledgement, a SUBACK. */
  effect(effect: ClientEffect, nowMs: number): void;
  /** After every batch of effects, and when publishing becomes possible: hand over what waits. */
  turn(nowMs: number): void;
  disconnected(nowMs: number): void;
  /** A request or handler finished. */
  quieter(): void;
  statusChanged(status: DeviceStatus): void;
  /** Requests and handlers under way whose answers belong to the connection in use. */
  readonly requestsOpen: boolean;
}

/** Largest packet a hub sends: a 128 KB method payload, or 64 KB behind a 64 KB topic; with room to spare. */
const packetBytesMax = 512 * 1024;
/** How long a renewal waits for answers to requests, then for acknowledgements; both end well before the token does. */
const requestsQuietMs = 3_000;
const publishesQuietMs = 2_000;

type Attempt = {
  readonly controller: AbortController;
  readonly deadlineMs: number;
  /** For the message when it takes too long. */
  stage: "waiting for a token" | "opening the stream" | "waiting for CONNACK";
};

type Opened = { password: Password; stream: ByteStream };

type Renewal =
  | { stage: "preparing"; attempt: Attempt }
  /** The new stream is open; the old connection finishes requests, then publishes. */
  | { stage: "requests" | "publishes"; opened: Opened; untilMs: number };

/**
 * Keeps one device connected: tries, waits with back-off, tries again, for ever.
 *
 *     opening ──▶ handshake ──CONNACK 0──▶ up ──▶ waiting ──▶ opening …
 *                     ▲                     │
 *                     └──── renewal ────────┘
 *
 * MQTT 3.1.1 cannot renew a token in place, so a renewal is a reconnect, made so that nobody notices: token and stream are
 * got ready while the old connection works; then nothing new is handed to the session until what is on the way is
 * answered (bounded); then DISCONNECT on the old stream and CONNECT on the new one in the same turn. What was not answered
 * after all stays in the session and is sent again.
 */
export class Uplink implements Machine {
  readonly session: ClientSession;
  readonly #settings: Settings;
  readonly #agenda: Agenda;
  readonly #owner: UplinkOwner;
  readonly #backoff: Backoff;
  #phase: "idle" | "opening" | "handshake" | "up" | "waiting" | "over" = "idle";
  #status: DeviceStatus = { state: "connecting", attempt: 1, cause: undefined };
  #attempt: Attempt | undefined;
  #attempts = 0;
  #wasConnected = false;
  #fresh = false;
  #cause: IotError | undefined;
  /** What CONNACK said; the close that follows it says less. */
  #refused: IotError | undefined;
  #driver: Driver<ClientEffect> | undefined;
  #password: Password | undefined;
  #token: TokenClock | undefined;
  #renewal: Renewal | undefined;
  #held = false;

  constructor(settings: Settings, agenda: Agenda, owner: UplinkOwner) {
    this.#settings = settings;
    this.#agenda = agenda;
    this.#owner = owner;
    this.#backoff = new Backoff(settings.reconnectDelay);
    this.session = new ClientSession({
      packetBytesMax,
      inflightMax: settings.maxInflight,
      connackTimeoutMs: settings.attemptTimeoutMs,
    });
    agenda.add(this);
  }

  get status(): DeviceStatus {
    return this.#status;
  }

  /**
   * Whether the session may be used at all. The session knows before we do: in a batch of effects that ends with a close it
   * is over already while the effects before the close are dealt with.
   */
  get connected(): boolean {
    return this.#phase === "up" && this.session.connected;
  }

  /** Whether telemetry may be handed to the session: not while a renewal waits for the window to empty. */
  get accepting(): boolean {
    return this.connected && !this.#held;
  }

  /** False while the hub takes less than is sent: hand over nothing new. */
  get writable(): boolean {
    return this.#driver?.writable ?? false;
  }

  /** The last reason why there was no connection. */
  get cause(): IotError | undefined {
    return this.#cause;
  }

  /** The session was called: its output leaves at the end of this turn. */
  touch(): void {
    this.#driver?.touch();
  }

  /** As `touch`, now: for a lot of bytes in one turn. */
  flush(): void {
    this.#driver?.flush();
  }

  /** A handler or request finished: a renewal may be waiting for it. */
  requestDone(): void {
    this.#owner.quieter();
    if (this.#renewal?.stage === "requests" && this.connected) {
      this.#advanceRenewal(this.#settings.clock.nowMs());
    }
  }

  start(): void {
    this.#try(this.#settings.clock.nowMs());
  }

  /** Takes the connection for dead; the usual reconnect follows. */
  kill(code: ErrorCode, reason: string): void {
    this.#driver?.destroy(code, reason);
  }

  /** Something is wrong although connected, or right again. */
  note(cause: IotError | undefined): void {
    if (this.#status.state === "connected" && this.#status.cause !== cause) {
      this.#setStatus({ ...this.#status, cause });
    }
  }

  /** Ends for good: DISCONNECT if there is a connection. */
  close(failure?: IotError): void {
    if (this.#phase === "over") return;
    const nowMs = this.#settings.clock.nowMs();
    const wasUp = this.#phase === "up";
    const driver = this.#driver;
    this.#phase = "over";
    this.#driver = undefined;
    this.#attempt?.controller.abort();
    this.#attempt = undefined;
    this.#dropRenewal();
    driver?.apply(this.session.disconnect(nowMs));
    this.session.lost(nowMs);
    if (wasUp) this.#owner.disconnected(nowMs);
    this.#setStatus(
      failure === undefined ? { state: "closed" } : { state: "failed", cause: failure },
    );
  }

  get deadlineMs(): number {
    switch (this.#phase) {
      case "opening":
      case "handshake":
        return this.#attempt?.deadlineMs ?? Infinity;
      case "waiting":
        return this.#backoff.deadlineMs;
      case "up":
        if (this.#renewal === undefined) return this.#token?.deadlineMs ?? Infinity;
        return this.#renewal.stage === "preparing"
          ? this.#renewal.attempt.deadlineMs
          : this.#renewal.untilMs;
      case "idle":
      case "over":
        return Infinity;
    }
  }

  tick(nowMs: number): void {
    if (nowMs < this.deadlineMs) return;
    if (this.#phase === "waiting") return this.#try(nowMs);
    if (this.#phase === "up") return this.#tickRenewal(nowMs);
    if (this.#attempt !== undefined)
      this.#attemptFailed(this.#attempt, this.#tooSlow(this.#attempt));
  }

  #try(nowMs: number): void {
    this.#backoff.started();
    this.#attempts += 1;
    this.#phase = "opening";
    const attempt = this.#newAttempt(nowMs);
    this.#attempt = attempt;
    this.#setStatus({ state: "connecting", attempt: this.#attempts, cause: this.#cause });
    // The status listener is the caller's code: it may have closed the client.
    if (this.#attempt !== attempt) return;
    this.#open(attempt, this.#fresh).then(
      (opened) => {
        if (this.#attempt === attempt) this.#handshake(attempt, opened);
        else opened.stream.destroy();
      },
      (error: unknown) => this.#attemptFailed(attempt, attemptError(error)),
    );
  }

  #newAttempt(nowMs: number): Attempt {
    const deadlineMs = nowMs + this.#settings.attemptTimeoutMs;
    this.#agenda.expect(deadlineMs);
    return { controller: new AbortController(), deadlineMs, stage: "waiting for a token" };
  }

  async #open(attempt: Attempt, fresh: boolean): Promise<Opened> {
    const { passwords, clock, openStream } = this.#settings;
    const { signal } = attempt.controller;
    const password = await passwords.next(clock.wallMs(), fresh);
    signal.throwIfAborted();
    attempt.stage = "opening the stream";
    const stream = await openStream(signal);
    if (signal.aborted) stream.destroy();
    signal.throwIfAborted();
    return { password, stream };
  }

  #handshake(attempt: Attempt, opened: Opened): void {
    const { clock, clientId, username, cleanSession, keepAliveS, receiveMax } = this.#settings;
    const { password, stream } = opened;
    const nowMs = clock.nowMs();
    attempt.stage = "waiting for CONNACK";
    this.#refused = undefined;
    this.#phase = "handshake";
    this.#password = password;
    this.session.connect(
      {
        clientId,
        username,
        password: password.bytes,
        cleanSession,
        keepAliveS,
        will: undefined,
      },
      nowMs,
    );
    const driver: Driver<ClientEffect> = new Driver<ClientEffect>({
      session: this.session,
      stream,
      clock,
      receiptsMax: receiveMax,
      onEffects: (effects) => {
        if (this.#driver === driver) this.#onEffects(effects);
      },
      onClosed: (cause) => {
        if (this.#driver === driver) this.#onClosed(cause);
      },
      onWritable: () => {
        if (this.#driver === driver && this.connected) this.#owner.turn(clock.nowMs());
      },
    });
    this.#driver = driver;
    driver.start();
  }

  #onEffects(effects: readonly ClientEffect[]): void {
    const { clock } = this.#settings;
    const nowMs = clock.nowMs();
    for (const effect of effects) {
      if (effect.type === "connected") this.#connected(effect.sessionPresent, nowMs);
      else if (effect.type === "refused") this.#refused = this.#refusal(effect.returnCode);
      else if (effect.type !== "close") this.#owner.effect(effect, nowMs);
    }
    if (!this.connected) return;
    this.#owner.turn(nowMs);
    if (this.#renewal !== undefined) this.#advanceRenewal(nowMs);
  }

  #connected(sessionPresent: boolean, nowMs: number): void {
    const { clock, tokenRenewBeforeS } = this.#settings;
    const password = this.#password as Password;
    const wallMs = clock.wallMs();
    this.#phase = "up";
    this.#attempt = undefined;
    this.#attempts = 0;
    this.#wasConnected = true;
    this.#fresh = false;
    this.#cause = undefined;
    this.#held = false;
    this.#backoff.succeeded(nowMs);
    this.#token = new TokenClock(password, tokenRenewBeforeS, wallMs, nowMs);
    this.#agenda.expect(this.#token.deadlineMs);
    const { expiresAtMs } = password;
    this.#owner.connected(nowMs);
    this.#setStatus({
      state: "connected",
      since: new Date(wallMs),
      sessionPresent,
      tokenExpiresAt: expiresAtMs === Infinity ? undefined : new Date(expiresAtMs),
      cause: undefined,
    });
  }

  #refusal(returnCode: number): IotError {
    const { hostName, clientId, clock } = this.#settings;
    return refusalError(returnCode, {
      hostName,
      clientId,
      wallMs: clock.wallMs(),
      tokenExpiresAtMs: this.#password?.expiresAtMs ?? Infinity,
    });
  }

  #onClosed(cause: CloseCause): void {
    const nowMs = this.#settings.clock.nowMs();
    const wasUp = this.#phase === "up";
    this.session.lost(nowMs);
    this.#driver = undefined;
    this.#dropRenewal();
    if (wasUp) this.#owner.disconnected(nowMs);
    this.#down(this.#refused ?? closeError(cause, wasUp), nowMs);
  }

  #attemptFailed(attempt: Attempt, error: IotError): void {
    if (this.#attempt !== attempt) return;
    const nowMs = this.#settings.clock.nowMs();
    attempt.controller.abort();
    const driver = this.#driver;
    this.#driver = undefined;
    driver?.destroy(error.code, error.message);
    this.session.lost(nowMs);
    this.#down(error, nowMs);
  }

  #tooSlow(attempt: Attempt): IotError {
    return new IotError(
      "device.attempt_timeout",
      `Gave up after ${this.#settings.attemptTimeoutMs} ms while ${attempt.stage}`,
    );
  }

  #down(cause: IotError, nowMs: number): void {
    if (this.#phase === "over") return;
    const { failFast, clock, random } = this.#settings;
    this.#attempt = undefined;
    this.#token = undefined;
    this.#cause = cause;
    this.#fresh = cause.code === "device.refused_not_authorized";
    if (!this.#wasConnected && failFast && !cause.retryable) return this.close(cause);
    this.#phase = "waiting";
    const waitMs = this.#backoff.failed(nowMs, random());
    this.#agenda.expect(nowMs + waitMs);
    const nextAttemptAt = new Date(clock.wallMs() + waitMs);
    this.#setStatus({ state: "waiting", attempt: this.#attempts, nextAttemptAt, cause });
  }

  #setStatus(status: DeviceStatus): void {
    this.#status = status;
    this.#owner.statusChanged(status);
  }

  // --- renewal ---

  #tickRenewal(nowMs: number): void {
    const renewal = this.#renewal;
    if (renewal?.stage === "preparing") {
      return this.#prepareFailed(renewal.attempt, this.#tooSlow(renewal.attempt));
    }
    if (renewal !== undefined) return this.#advanceRenewal(nowMs);
    const due = this.#token?.due(this.#settings.clock.wallMs(), nowMs) ?? false;
    if (due) this.#prepare(nowMs);
  }

  #prepare(nowMs: number): void {
    const attempt = this.#newAttempt(nowMs);
    this.#renewal = { stage: "preparing", attempt };
    const isCurrent = (): boolean =>
      this.#renewal?.stage === "preparing" && this.#renewal.attempt === attempt;
    this.#open(attempt, true).then(
      (opened) => {
        if (isCurrent()) this.#prepared(opened);
        else opened.stream.destroy();
      },
      (error: unknown) => {
        if (isCurrent()) this.#prepareFailed(attempt, attemptError(error));
      },
    );
  }

  #prepareFailed(attempt: Attempt, error: IotError): void {
    const { clock } = this.#settings;
    attempt.controller.abort();
    this.#renewal = undefined;
    this.#token?.postpone(clock.wallMs(), clock.nowMs());
    this.#agenda.expect(this.deadlineMs);
    this.note(error);
  }

  #prepared(opened: Opened): void {
    const { clock } = this.#settings;
    const nowMs = clock.nowMs();
    const token = this.#token as TokenClock;
    const patienceMs = Math.max(0, (token.leftMs(clock.wallMs(), nowMs) - 1_000) / 2);
    const untilMs = nowMs + Math.min(requestsQuietMs, patienceMs);
    this.#renewal = { stage: "requests", opened, untilMs };
    this.#agenda.expect(untilMs);
    this.#setStatus({ state: "renewing", tokenExpiresAt: new Date(token.expiresAtMs) });
    this.#advanceRenewal(nowMs);
  }

  /** Moves on as soon as what it waits for is done, and at the latest when its time is over. */
  #advanceRenewal(nowMs: number): void {
    const renewal = this.#renewal;
    if (renewal === undefined || renewal.stage === "preparing") return;
    const timeIsUp = nowMs >= renewal.untilMs;
    if (renewal.stage === "requests") {
      if (this.#owner.requestsOpen && !timeIsUp) return;
      this.#held = true;
      const untilMs = nowMs + publishesQuietMs;
      this.#renewal = { stage: "publishes", opened: renewal.opened, untilMs };
      this.#agenda.expect(untilMs);
      return this.#advanceRenewal(nowMs);
    }
    if (this.session.inflight > 0 && !timeIsUp) return;
    this.#switch(renewal.opened, nowMs);
  }

  #switch(opened: Opened, nowMs: number): void {
    const old = this.#driver;
    this.#renewal = undefined;
    this.#token = undefined;
    this.#driver = undefined;
    this.#phase = "handshake";
    old?.apply(this.session.disconnect(nowMs));
    this.#owner.disconnected(nowMs);
    const attempt = this.#newAttempt(nowMs);
    this.#attempt = attempt;
    this.#handshake(attempt, opened);
  }

  #dropRenewal(): void {
    const renewal = this.#renewal;
    this.#renewal = undefined;
    this.#held = false;
    if (renewal?.stage === "preparing") renewal.attempt.controller.abort();
    else renewal?.opened.stream.destroy();
  }
}
