import { sameIdentity } from "@hubwire/protocol";
import type { ClientEffect, ClientSession, ErrorCode, IotError } from "@hubwire/protocol";
import type { CloseCause } from "@hubwire/transport";
import type { Credential } from "../credentials/provider.ts";
import type { Settings } from "../options/settings.ts";
import type { Agenda, Machine } from "./agenda.ts";
import { Approach } from "./approach.ts";
import type { Attempt, Opened } from "./attempt.ts";
import { CredentialLink } from "./credential-link.ts";
import type { Endpoint } from "./endpoint.ts";
import { Recovery } from "./recovery.ts";
import { connectRefusal, connectRequest } from "./handshake.ts";
import { Line } from "./line.ts";
import { closeError } from "./refusal.ts";
import { Renewal } from "./renewal.ts";
import type { DeviceStatus } from "./status.ts";
import { TokenClock } from "./token-clock.ts";
import type { UplinkOwner } from "./uplink-owner.ts";
import { Vigil } from "./vigil.ts";

/** A provider that has news at every connect must not make the client reconnect in a loop. */
const newsEveryMs = 1_000;

/**
 * Keeps one device connected: tries, waits as `Recovery` says, tries again, for ever unless told otherwise.
 *
 *     opening ──▶ handshake ──CONNACK 0──▶ up ──▶ waiting ──▶ opening …
 *                     ▲                     │
 *                     └──── renewal ────────┘
 */
export class Uplink implements Machine {
  readonly #settings: Settings;
  readonly #agenda: Agenda;
  readonly #owner: UplinkOwner;
  readonly #line: Line;
  readonly #link: CredentialLink;
  readonly #approach: Approach;
  readonly #recovery: Recovery;
  readonly #vigil: Vigil;
  #phase: "idle" | "provisioning" | "opening" | "handshake" | "up" | "waiting" | "over" = "idle";
  #status: DeviceStatus = { state: "connecting", attempt: 1, cause: undefined };
  #fresh = false;
  /** The handshake under way replaces a connection that was given up for it. */
  #switching = false;
  #switchedAtMs = -Infinity;
  #cause: IotError | undefined;
  /** What CONNACK said; the close that follows it says less. */
  #refused: IotError | undefined;
  #credential: Credential | undefined;
  #renewal: Renewal | undefined;
  /** What to go back to when a renewal does not happen. */
  #connectedStatus: DeviceStatus | undefined;

  constructor(settings: Settings, agenda: Agenda, owner: UplinkOwner) {
    this.#settings = settings;
    this.#agenda = agenda;
    this.#owner = owner;
    this.#link = new CredentialLink(settings);
    this.#approach = new Approach(settings, agenda, this.#link, {
      asking: () => this.#started("provisioning"),
      trying: () => this.#started("connecting"),
      moved: (before, endpoint) => this.#moved(before, endpoint),
      opened: (opened) => this.#handshake(opened),
      failed: (error, attempt) => this.#attemptFailed(error, attempt),
    });
    this.#recovery = new Recovery(settings);
    this.#vigil = new Vigil(settings, agenda, {
      lostTime: () => this.#timeMoved(),
      setBack: () => this.#timeMoved(),
      networkChanged: () => this.#hasten(),
    });
    this.#line = new Line(settings, {
      effects: (effects) => this.#onEffects(effects),
      closed: (cause) => this.#onClosed(cause),
      writable: () => {
        if (this.connected) this.#owner.turn(settings.clock.nowMs());
      },
    });
    agenda.add(this);
  }

  get session(): ClientSession {
    return this.#line.session;
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
    return this.#line.writable;
  }

  /** The last reason why there was no connection. */
  get cause(): IotError | undefined {
    return this.#cause;
  }

  /** The session was called: its output leaves at the end of this turn. */
  touch(): void {
    this.#line.touch();
  }

  /** As `touch`, now: for a lot of bytes in one turn. */
  flush(): void {
    this.#line.flush();
  }

  /** A handler or request finished: a renewal, or a close, may be waiting for it. */
  requestDone(): void {
    this.#owner.quieter();
    if (this.connected) this.#renewal?.advance(this.#settings.clock.nowMs());
  }

  start(): void {
    this.#link.start(() => this.#credentialChanged());
    this.#try(this.#settings.clock.nowMs());
  }

  /** While waiting: tries now. While connected: finds out within seconds whether the connection lives. */
  reconnectNow(): void {
    const nowMs = this.#settings.clock.nowMs();
    if (this.#phase === "waiting") this.#try(nowMs);
    else this.#line.probe(nowMs);
  }

  /** Takes the connection for dead; the usual reconnect follows. */
  kill(code: ErrorCode, reason: string): void {
    this.#line.kill(code, reason);
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
    this.#phase = "over";
    this.#approach.abort();
    this.#vigil.watch(undefined, nowMs);
    this.#dropRenewal();
    this.#link.close();
    this.#line.leave(nowMs);
    if (wasUp) this.#owner.disconnected(nowMs);
    this.#setStatus(
      failure === undefined ? { state: "closed" } : { state: "failed", cause: failure },
    );
  }

  get deadlineMs(): number {
    switch (this.#phase) {
      case "opening":
      case "handshake":
        return this.#approach.deadlineMs;
      case "waiting":
        return this.#recovery.attemptAtMs;
      case "up":
        return Math.min(this.#renewal?.deadlineMs ?? Infinity, this.#recovery.peaceAtMs);
      case "idle":
      case "provisioning":
      case "over":
        return Infinity;
    }
  }

  tick(nowMs: number): void {
    if (nowMs < this.deadlineMs) return;
    if (this.#phase === "waiting") return this.#try(nowMs);
    if (this.#phase === "up") return this.#tickUp(nowMs);
    this.#approach.expire();
  }

  #tickUp(nowMs: number): void {
    if (nowMs >= this.#recovery.peaceAtMs) {
      this.#recovery.peace();
      if (this.#status.state === "connected")
        this.#setStatus({ ...this.#status, cause: undefined });
    }
    this.#renewal?.tick(nowMs);
  }

  /** Sleep, or a clock that was set: connections die unnoticed, tokens age, and what was refused may now be right. */
  #timeMoved(): void {
    const nowMs = this.#settings.clock.nowMs();
    this.#settings.skew.forget();
    if (this.#phase === "waiting") {
      this.#recovery.hope();
      return this.#hasten();
    }
    this.#line.probe(nowMs);
    this.#renewal?.look(nowMs);
  }

  /** Soon, but not in the same moment as everybody who saw the same thing. */
  #hasten(): void {
    if (this.#phase !== "waiting") return;
    const { clock, random, retry } = this.#settings;
    this.#recovery.hasten(clock.nowMs() + Math.round(random() * retry.minMs));
    this.#agenda.expect(this.#recovery.attemptAtMs);
  }

  #credentialChanged(): void {
    const nowMs = this.#settings.clock.nowMs();
    if (this.#phase === "waiting") {
      this.#recovery.hope();
      this.#recovery.hasten(nowMs);
      return this.#agenda.expect(nowMs);
    }
    if (this.#phase === "up") this.#lookForNews(nowMs);
  }

  #lookForNews(nowMs: number): void {
    const why = this.#link.newsSince(this.#credential as Credential);
    if (why === undefined) return;
    this.#renewal?.request(why, Math.max(nowMs, this.#switchedAtMs + newsEveryMs));
  }

  #try(nowMs: number): void {
    this.#recovery.starting(nowMs);
    this.#vigil.watch(undefined, nowMs);
    this.#approach.start(nowMs, this.#fresh);
  }

  #started(state: "provisioning" | "connecting"): void {
    this.#phase = state === "connecting" ? "opening" : state;
    this.#setStatus({ state, attempt: this.#recovery.attempts, cause: this.#cause });
  }

  #moved(before: Endpoint, endpoint: Endpoint): void {
    // What another hub refused says nothing about this one.
    if (before.hostName !== endpoint.hostName) this.#recovery.hope();
    if (!sameIdentity(before.identity, endpoint.identity)) this.#owner.renamed();
  }

  #handshake({ credential, stream }: Opened): void {
    this.#approach.awaitConnack(credential, this.#settings.clock.nowMs());
    this.#refused = undefined;
    this.#phase = "handshake";
    this.#credential = credential;
    this.#line.open(stream, connectRequest(this.#settings, credential));
  }

  #onEffects(effects: readonly ClientEffect[]): void {
    const nowMs = this.#settings.clock.nowMs();
    for (const effect of effects) {
      if (effect.type === "connected") this.#connected(effect.sessionPresent, nowMs);
      else if (effect.type === "refused")
        this.#refused = connectRefusal(this.#settings, effect.returnCode, this.#credential);
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
    this.#approach.done();
    if (this.#switching) this.#settings.stats.renewals += 1;
    this.#switching = false;
    this.#fresh = false;
    this.#cause = undefined;
    this.#recovery.connected(nowMs);
    this.#settings.provisioner?.connected();
    this.#renewal = this.#newRenewal(credential, wallMs, nowMs);
    this.#vigil.watch("connected", nowMs);
    this.#agenda.expect(this.#recovery.peaceAtMs);
    this.#owner.connected(nowMs);
    this.#setStatus({
      state: "connected",
      since: new Date(wallMs),
      sessionPresent,
      tokenExpiresAt: dateOf(credential.expiresAtMs),
      cause: this.#recovery.dispute,
    });
    // The status listener is the caller's code: it may have closed the client.
    if (!this.connected) return;
    this.#link.outcome(credential, undefined);
    this.#lookForNews(nowMs);
  }

  #newRenewal(credential: Credential, wallMs: number, nowMs: number): Renewal {
    const token = new TokenClock(credential, this.#settings.tokenRenewBeforeS, wallMs, nowMs);
    const { session } = this;
    const owner = this.#owner;
    return new Renewal(this.#settings, this.#agenda, this.#link, token, {
      get requestsOpen() {
        return owner.requestsOpen;
      },
      get inflight() {
        return session.inflight;
      },
      renewing: (why) => {
        const tokenExpiresAt = dateOf(token.expiresAtMs);
        this.#connectedStatus = this.#status;
        this.#setStatus({ state: "renewing", tokenExpiresAt, why });
      },
      failed: (cause) => this.#renewalFailed(cause),
      switchTo: (opened) => this.#switchTo(opened),
    });
  }

  /** The connection in use goes on; if it ended meanwhile, that is what has to be dealt with. */
  #renewalFailed(cause: IotError): void {
    const { clock } = this.#settings;
    if (!this.#line.hasStream) {
      this.#dropRenewal();
      return this.#down(cause, undefined, clock.nowMs());
    }
    if (this.#status.state === "renewing" && this.#connectedStatus?.state === "connected") {
      this.#setStatus({ ...this.#connectedStatus, cause });
      this.#owner.turn(clock.nowMs());
    } else this.note(cause);
  }

  #switchTo(opened: Opened): void {
    const nowMs = this.#settings.clock.nowMs();
    const hadStream = this.#line.hasStream;
    this.#renewal = undefined;
    this.#phase = "handshake";
    this.#switching = true;
    this.#switchedAtMs = nowMs;
    this.#line.leave(nowMs);
    if (hadStream) this.#owner.disconnected(nowMs);
    this.#handshake(opened);
  }

  #onClosed(cause: CloseCause): void {
    const nowMs = this.#settings.clock.nowMs();
    const wasUp = this.#phase === "up";
    if (wasUp) this.#owner.disconnected(nowMs);
    // The hub closes the old connection because it takes the new one, and CONNACK is on its way.
    if (this.#renewal?.trying === true) return;
    this.#dropRenewal();
    const error = this.#refused ?? closeError(cause, wasUp);
    if (!wasUp) this.#settings.provisioner?.failed(error);
    if (!wasUp) this.#link.outcome(this.#credential, error);
    this.#down(error, wasUp ? cause : undefined, nowMs);
  }

  #attemptFailed(error: IotError, attempt: Attempt | undefined): void {
    const nowMs = this.#settings.clock.nowMs();
    if (attempt !== undefined) {
      this.#line.drop(error.code, error.message, nowMs);
      this.#settings.provisioner?.failed(error);
      this.#link.outcome(attempt.credential, error);
    }
    this.#down(error, undefined, nowMs);
  }

  /** @param lost how an established connection ended; undefined when an attempt failed */
  #down(error: IotError, lost: CloseCause | undefined, nowMs: number): void {
    const { clock } = this.#settings;
    this.#approach.done();
    this.#fresh = error.code === "device.refused_not_authorized";
    // A new token, refused: what worked until now may still do, so it is asked for at once.
    const hopeful = this.#link.standby || (this.#switching && this.#fresh);
    this.#switching = false;
    const verdict = this.#recovery.ended({ cause: error, lost, hopeful }, nowMs);
    const { cause } = verdict;
    this.#cause = cause;
    if (verdict.what === "give up") return this.close(cause);
    const { waitMs, pace } = verdict;
    const { attempts: attempt, refusals } = this.#recovery;
    this.#phase = "waiting";
    this.#agenda.expect(nowMs + waitMs);
    this.#vigil.watch("waiting", nowMs);
    const nextAttemptAt = new Date(clock.wallMs() + waitMs);
    this.#setStatus({ state: "waiting", attempt, nextAttemptAt, pace, refusals, cause });
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

const dateOf = (wallMs: number): Date | undefined =>
  wallMs === Infinity ? undefined : new Date(wallMs);
