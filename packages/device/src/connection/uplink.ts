import { Backoff, ClientSession, sameIdentity } from "@hubwire/protocol";
import type { ClientEffect, ErrorCode, IotError } from "@hubwire/protocol";
import { Driver } from "@hubwire/transport";
import type { CloseCause } from "@hubwire/transport";
import type { Credential } from "../credentials/provider.ts";
import type { Settings } from "../options/settings.ts";
import type { Agenda, Machine } from "./agenda.ts";
import { Attempt } from "./attempt.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Provisioner } from "./provisioner.ts";
import type { Opened } from "./attempt.ts";
import { attemptError, closeError, refusalError } from "./refusal.ts";
import { Renewal } from "./renewal.ts";
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
  /** Provisioning gave the device another id: topics of the old one are of no use. Comes while not connected. */
  renamed(): void;
  /** A request or handler finished. */
  quieter(): void;
  statusChanged(status: DeviceStatus): void;
  /** Requests and handlers under way whose answers belong to the connection in use. */
  readonly requestsOpen: boolean;
}

/** Largest packet a hub sends: a 128 KB method payload, or 64 KB behind a 64 KB topic; with room to spare. */
const packetBytesMax = 512 * 1024;

/**
 * Keeps one device connected: tries, waits with back-off, tries again, for ever.
 *
 *     opening ──▶ handshake ──CONNACK 0──▶ up ──▶ waiting ──▶ opening …
 *                     ▲                     │
 *                     └──── renewal ────────┘
 */
export class Uplink implements Machine {
  readonly session: ClientSession;
  readonly #settings: Settings;
  readonly #agenda: Agenda;
  readonly #owner: UplinkOwner;
  readonly #backoff: Backoff;
  #phase: "idle" | "provisioning" | "opening" | "handshake" | "up" | "waiting" | "over" = "idle";
  #status: DeviceStatus = { state: "connecting", attempt: 1, cause: undefined };
  /** The question to the provisioning service that is under way. */
  #asking: AbortController | undefined;
  #attempt: Attempt | undefined;
  #attempts = 0;
  #wasConnected = false;
  #fresh = false;
  #cause: IotError | undefined;
  /** What CONNACK said; the close that follows it says less. */
  #refused: IotError | undefined;
  #driver: Driver<ClientEffect> | undefined;
  #credential: Credential | undefined;
  #renewal: Renewal | undefined;

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
    return this.connected && this.#renewal?.holding !== true;
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

  /** A handler or request finished: a renewal, or a close, may be waiting for it. */
  requestDone(): void {
    this.#owner.quieter();
    if (this.connected) this.#renewal?.advance(this.#settings.clock.nowMs());
  }

  start(): void {
    this.#try(this.#settings.clock.nowMs());
  }

  /** Takes the connection for dead; the usual reconnect follows. */
  kill(code: ErrorCode, reason: string): void {
    this.#driver?.destroy(code, reason);
  }

  /** Something is wrong although connected. */
  note(cause: IotError): void {
    if (this.#status.state === "connected") this.#setStatus({ ...this.#status, cause });
  }

  /** Ends for good: DISCONNECT if there is a connection. */
  close(failure?: IotError): void {
    if (this.#phase === "over") return;
    const nowMs = this.#settings.clock.nowMs();
    const wasUp = this.#phase === "up";
    const driver = this.#driver;
    this.#phase = "over";
    this.#driver = undefined;
    this.#asking?.abort();
    this.#asking = undefined;
    this.#attempt?.abort();
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
        return this.#renewal?.deadlineMs ?? Infinity;
      case "idle":
      case "provisioning":
      case "over":
        return Infinity;
    }
  }

  tick(nowMs: number): void {
    if (nowMs < this.deadlineMs) return;
    if (this.#phase === "waiting") return this.#try(nowMs);
    if (this.#phase === "up") return this.#renewal?.tick(nowMs);
    if (this.#attempt !== undefined) this.#attemptFailed(this.#attempt, this.#attempt.tooSlow);
  }

  #try(nowMs: number): void {
    this.#backoff.started();
    this.#attempts += 1;
    const { provisioner } = this.#settings;
    if (provisioner?.due === true) return this.#provision(provisioner);
    this.#open(nowMs);
  }

  /** Asks which hub to connect to, and connects there. */
  #provision(provisioner: Provisioner): void {
    const { clock } = this.#settings;
    const asking = new AbortController();
    this.#phase = "provisioning";
    this.#asking = asking;
    this.#setStatus({ state: "provisioning", attempt: this.#attempts, cause: this.#cause });
    provisioner.assign(asking.signal).then(
      (endpoint) => {
        if (this.#asking !== asking) return;
        this.#asking = undefined;
        this.#moveTo(endpoint);
        this.#open(clock.nowMs());
      },
      (error: unknown) => {
        if (this.#asking !== asking) return;
        this.#asking = undefined;
        this.#down(attemptError(error), clock.nowMs());
      },
    );
  }

  #moveTo(endpoint: Endpoint): void {
    const before = this.#settings.endpoint;
    this.#settings.endpoint = endpoint;
    if (!sameIdentity(before.identity, endpoint.identity)) this.#owner.renamed();
  }

  #open(nowMs: number): void {
    this.#phase = "opening";
    const attempt = this.#newAttempt(nowMs);
    this.#setStatus({ state: "connecting", attempt: this.#attempts, cause: this.#cause });
    attempt.open(this.#fresh).then(
      (opened) => {
        if (this.#attempt === attempt) this.#handshake(attempt, opened);
        else opened.stream.destroy();
      },
      (error: unknown) => this.#attemptFailed(attempt, attemptError(error)),
    );
  }

  #newAttempt(nowMs: number): Attempt {
    const attempt = new Attempt(this.#settings, nowMs);
    this.#attempt = attempt;
    this.#agenda.expect(attempt.deadlineMs);
    return attempt;
  }

  #handshake(attempt: Attempt, opened: Opened): void {
    const { clock, endpoint, cleanSession, keepAliveS, receiveMax } = this.#settings;
    const { clientId, username } = endpoint;
    attempt.stage = "waiting for CONNACK";
    this.#refused = undefined;
    this.#phase = "handshake";
    this.#credential = opened.credential;
    const { password } = opened.credential;
    this.session.connect(
      { clientId, username, password, cleanSession, keepAliveS, will: undefined },
      clock.nowMs(),
    );
    const driver: Driver<ClientEffect> = new Driver<ClientEffect>({
      session: this.session,
      stream: opened.stream,
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
    const nowMs = this.#settings.clock.nowMs();
    for (const effect of effects) {
      if (effect.type === "connected") this.#connected(effect.sessionPresent, nowMs);
      else if (effect.type === "refused") this.#refused = this.#refusal(effect.returnCode);
      else if (effect.type !== "close") this.#owner.effect(effect, nowMs);
    }
    if (!this.connected) return;
    this.#owner.turn(nowMs);
    this.#renewal?.advance(nowMs);
  }

  #connected(sessionPresent: boolean, nowMs: number): void {
    const wallMs = this.#settings.clock.wallMs();
    const credential = this.#credential as Credential;
    this.#phase = "up";
    this.#attempt = undefined;
    this.#attempts = 0;
    this.#wasConnected = true;
    this.#fresh = false;
    this.#cause = undefined;
    this.#backoff.succeeded(nowMs);
    this.#settings.provisioner?.connected();
    this.#renewal = this.#newRenewal(credential, wallMs, nowMs);
    this.#owner.connected(nowMs);
    const { expiresAtMs } = credential;
    this.#setStatus({
      state: "connected",
      since: new Date(wallMs),
      sessionPresent,
      tokenExpiresAt: expiresAtMs === Infinity ? undefined : new Date(expiresAtMs),
      cause: undefined,
    });
  }

  #newRenewal(credential: Credential, wallMs: number, nowMs: number): Renewal {
    const token = new TokenClock(credential, this.#settings.tokenRenewBeforeS, wallMs, nowMs);
    const { session } = this;
    const owner = this.#owner;
    return new Renewal(this.#settings, this.#agenda, token, {
      get requestsOpen() {
        return owner.requestsOpen;
      },
      get inflight() {
        return session.inflight;
      },
      renewing: () =>
        this.#setStatus({ state: "renewing", tokenExpiresAt: new Date(token.expiresAtMs) }),
      failed: (cause) => this.note(cause),
      switchTo: (opened) => this.#switchTo(opened),
    });
  }

  #switchTo(opened: Opened): void {
    const nowMs = this.#settings.clock.nowMs();
    const old = this.#driver;
    this.#renewal = undefined;
    this.#driver = undefined;
    this.#phase = "handshake";
    old?.apply(this.session.disconnect(nowMs));
    this.#owner.disconnected(nowMs);
    this.#handshake(this.#newAttempt(nowMs), opened);
  }

  #refusal(returnCode: number): IotError {
    const { endpoint, clock } = this.#settings;
    const { hostName, clientId } = endpoint;
    return refusalError(returnCode, {
      hostName,
      clientId,
      wallMs: clock.wallMs(),
      tokenExpiresAtMs: this.#credential?.expiresAtMs ?? Infinity,
    });
  }

  #onClosed(cause: CloseCause): void {
    const nowMs = this.#settings.clock.nowMs();
    const wasUp = this.#phase === "up";
    this.session.lost(nowMs);
    this.#driver = undefined;
    this.#dropRenewal();
    if (wasUp) this.#owner.disconnected(nowMs);
    const error = this.#refused ?? closeError(cause, wasUp);
    if (!wasUp) this.#settings.provisioner?.failed(error);
    this.#down(error, nowMs);
  }

  #attemptFailed(attempt: Attempt, error: IotError): void {
    if (this.#attempt !== attempt) return;
    const nowMs = this.#settings.clock.nowMs();
    attempt.abort();
    const driver = this.#driver;
    this.#driver = undefined;
    driver?.destroy(error.code, error.message);
    this.session.lost(nowMs);
    this.#settings.provisioner?.failed(error);
    this.#down(error, nowMs);
  }

  #down(cause: IotError, nowMs: number): void {
    const { failFast, clock, random } = this.#settings;
    this.#attempt = undefined;
    this.#cause = cause;
    this.#fresh = cause.code === "device.refused_not_authorized";
    const mayHeal = cause.retryable || this.#settings.provisioner?.mayHeal(cause) === true;
    if (!this.#wasConnected && failFast && !mayHeal) return this.close(cause);
    this.#phase = "waiting";
    const waitMs = this.#backoff.failed(nowMs, random());
    this.#agenda.expect(nowMs + waitMs);
    const nextAttemptAt = new Date(clock.wallMs() + waitMs);
    this.#setStatus({ state: "waiting", attempt: this.#attempts, nextAttemptAt, cause });
  }

  #dropRenewal(): void {
    this.#renewal?.drop();
    this.#renewal = undefined;
  }

  #setStatus(status: DeviceStatus): void {
    this.#status = status;
    this.#owner.statusChanged(status);
  }
}
