import type { IotError } from "@hubwire/protocol";
import type { ByteStream } from "@hubwire/transport";
import type { Settings } from "../options/settings.ts";
import type { Agenda } from "./agenda.ts";
import { Attempt } from "./attempt.ts";
import type { Opened } from "./attempt.ts";
import type { CredentialLink } from "./credential-link.ts";
import { connectRequest, trialError } from "./handshake.ts";
import { attemptError } from "./refusal.ts";
import type { TokenClock } from "./token-clock.ts";
import { Trial } from "./trial.ts";

/** The connection in use, as its renewal sees it. */
export interface RenewalHost {
  /** Requests and handlers whose answers belong to the connection in use. */
  readonly requestsOpen: boolean;
  /** QoS 1 messages not acknowledged. */
  readonly inflight: number;
  /** The new stream is open and the old connection is being brought to rest. */
  renewing(why: string): void;
  /** The renewal has to be tried again, or was refused: the old connection goes on. */
  failed(cause: IotError): void;
  /** DISCONNECT on the old stream, CONNECT on the new one, now. */
  switchTo(opened: Opened): void;
}

/** How long it waits for answers to requests, then for acknowledgements; both end well before the token does. */
const requestsQuietMs = 3_000;
const publishesQuietMs = 2_000;

type Stage =
  | { name: "resting" }
  | { name: "preparing"; attempt: Attempt; again: string | undefined }
  | { name: "requests" | "publishes"; opened: Opened; untilMs: number }
  | { name: "trying"; opened: Opened; trial: Trial; attempt: Attempt };

/**
 * The renewal of one connection's credential. MQTT 3.1.1 cannot renew a token in place, so a renewal is a reconnect, made so
 * that nobody notices:
 *
 *     resting ──token nearly over──▶ preparing ──▶ requests ──▶ publishes ──▶ switch
 *        ▲       or a new one there     │                          │            ▲
 *        └────────── failed ────────────┘                          └─▶ trying ──┘ CONNACK 0
 *
 * Credential and stream are got ready while the old connection works. Then, each for a bounded time: requests under way get
 * their answers; nothing new is handed to the session until what is on the way is acknowledged, so that nothing has to be
 * sent twice. What was not answered after all stays in the session and is sent again. A credential the hub has not seen at
 * work is tried while the old connection is still there, and the old connection goes on when the hub refuses it.
 */
export class Renewal {
  readonly #settings: Settings;
  readonly #agenda: Agenda;
  readonly #link: CredentialLink;
  readonly #token: TokenClock;
  readonly #host: RenewalHost;
  #stage: Stage = { name: "resting" };
  /** A change that was asked for and has not happened yet: why, and when to begin. */
  #wanted: { why: string; atMs: number } | undefined;

  constructor(
    settings: Settings,
    agenda: Agenda,
    link: CredentialLink,
    token: TokenClock,
    host: RenewalHost,
  ) {
    this.#settings = settings;
    this.#agenda = agenda;
    this.#link = link;
    this.#token = token;
    this.#host = host;
    agenda.expect(token.deadlineMs);
  }

  /** Whether telemetry waits for the new connection. */
  get holding(): boolean {
    return this.#stage.name === "publishes" || this.#stage.name === "trying";
  }

  /** Whether a CONNECT is on its way: if the hub takes it, it closes the old connection. */
  get trying(): boolean {
    return this.#stage.name === "trying";
  }

  get deadlineMs(): number {
    switch (this.#stage.name) {
      case "resting":
        return Math.min(this.#token.deadlineMs, this.#wanted?.atMs ?? Infinity);
      case "preparing":
      case "trying":
        return this.#stage.attempt.deadlineMs;
      case "requests":
      case "publishes":
        return this.#stage.untilMs;
    }
  }

  /** Something new is there: change over to it as soon as nobody notices. */
  request(why: string, atMs: number): void {
    this.#wanted = { why, atMs };
    this.look(this.#settings.clock.nowMs());
  }

  tick(nowMs: number): void {
    if (nowMs < this.deadlineMs) return;
    const stage = this.#stage;
    if (stage.name === "preparing") return this.#failed(stage.attempt, stage.attempt.tooSlow);
    if (stage.name === "trying") {
      stage.trial.drop();
      return this.#trialFailed(stage.opened, stage.attempt.tooSlow);
    }
    if (stage.name !== "resting") return this.advance(nowMs);
    this.look(nowMs);
  }

  /** Begins if it is time to; also when somebody has a reason to think that the clock moved. */
  look(nowMs: number): void {
    if (this.#stage.name !== "resting") return;
    if (this.#token.due(this.#settings.clock.wallMs(), nowMs)) {
      return this.#prepare(nowMs, "the token is about to end", true);
    }
    const wanted = this.#wanted;
    if (wanted !== undefined && nowMs >= wanted.atMs) this.#prepare(nowMs, wanted.why, false);
    else this.#agenda.expect(this.deadlineMs);
  }

  /** Moves on as soon as what it waits for is done, and at the latest when its time is over. */
  advance(nowMs: number): void {
    const stage = this.#stage;
    if (stage.name !== "requests" && stage.name !== "publishes") return;
    const timeIsUp = nowMs >= stage.untilMs;
    const { opened } = stage;
    if (stage.name === "requests") {
      if (this.#host.requestsOpen && !timeIsUp) return;
      const untilMs = nowMs + publishesQuietMs;
      this.#stage = { name: "publishes", opened, untilMs };
      this.#agenda.expect(untilMs);
      return this.advance(nowMs);
    }
    if (this.#host.inflight > 0 && !timeIsUp) return;
    if (opened.credential.trial === true) return this.#try(opened, nowMs);
    this.#stage = { name: "resting" };
    this.#host.switchTo(opened);
  }

  /** The old connection ended by itself: what was got ready is not needed. */
  drop(): void {
    const stage = this.#stage;
    this.#stage = { name: "resting" };
    if (stage.name === "preparing") stage.attempt.abort();
    else if (stage.name === "trying") stage.trial.drop();
    else if (stage.name !== "resting") stage.opened.stream.destroy();
  }

  #prepare(nowMs: number, why: string, fresh: boolean): void {
    const attempt = new Attempt(this.#settings, this.#link, nowMs);
    // Of the end of a token its own clock reminds us.
    this.#stage = { name: "preparing", attempt, again: fresh ? undefined : why };
    this.#wanted = undefined;
    this.#agenda.expect(attempt.deadlineMs);
    attempt.open(fresh).then(
      (opened) => {
        if (this.#isPreparing(attempt)) this.#prepared(opened, why);
        else opened.stream.destroy();
      },
      (error: unknown) => this.#failed(attempt, attemptError(error)),
    );
  }

  #isPreparing(attempt: Attempt): boolean {
    return this.#stage.name === "preparing" && this.#stage.attempt === attempt;
  }

  #failed(attempt: Attempt, error: IotError): void {
    const stage = this.#stage;
    if (stage.name !== "preparing" || stage.attempt !== attempt) return;
    attempt.abort();
    this.#link.outcome(attempt.credential, error);
    this.#rest(stage.again);
    this.#host.failed(error);
  }

  /** @param again what still has to be done; undefined when that is for the credential provider to say */
  #rest(again: string | undefined): void {
    const { clock } = this.#settings;
    const nowMs = clock.nowMs();
    this.#stage = { name: "resting" };
    this.#token.postpone(clock.wallMs(), nowMs);
    if (again !== undefined) this.#wanted ??= { why: again, atMs: nowMs + retryMs };
    this.#agenda.expect(this.deadlineMs);
  }

  #prepared(opened: Opened, why: string): void {
    const { clock } = this.#settings;
    const nowMs = clock.nowMs();
    const patienceMs = Math.max(0, (this.#token.leftMs(clock.wallMs(), nowMs) - 1_000) / 2);
    const untilMs = nowMs + Math.min(requestsQuietMs, patienceMs);
    const stage: Stage = { name: "requests", opened, untilMs };
    this.#stage = stage;
    this.#agenda.expect(untilMs);
    this.#host.renewing(why);
    // The status listener is the caller's code: it may have closed the client.
    if (this.#stage === stage) this.advance(nowMs);
  }

  #try(opened: Opened, nowMs: number): void {
    const { clock } = this.#settings;
    const attempt = new Attempt(this.#settings, this.#link, nowMs);
    attempt.stage = "waiting for CONNACK";
    const trial = new Trial(opened.stream, () => clock.nowMs(), {
      accepted: (stream: ByteStream) => {
        this.#stage = { name: "resting" };
        this.#host.switchTo({ credential: opened.credential, stream });
      },
      failed: (failure) =>
        this.#trialFailed(opened, trialError(this.#settings, opened.credential, failure)),
    });
    this.#stage = { name: "trying", opened, trial, attempt };
    this.#agenda.expect(attempt.deadlineMs);
    trial.start(connectRequest(this.#settings, opened.credential));
  }

  #trialFailed(opened: Opened, error: IotError): void {
    if (this.#stage.name !== "trying") return;
    this.#rest(undefined);
    // The provider may announce the next credential at once.
    this.#link.outcome(opened.credential, error);
    this.#host.failed(error);
  }
}

/** Until a change that failed for the network's sake is tried again. */
const retryMs = 5_000;
