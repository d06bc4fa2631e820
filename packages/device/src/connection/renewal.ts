import type { IotError } from "@hubwire/protocol";
import type { Settings } from "../options/settings.ts";
import type { Agenda } from "./agenda.ts";
import { Attempt } from "./attempt.ts";
import type { Opened } from "./attempt.ts";
import { attemptError } from "./refusal.ts";
import type { TokenClock } from "./token-clock.ts";

/** The connection in use, as its renewal sees it. */
export interface RenewalHost {
  /** Requests and handlers whose answers belong to the connection in use. */
  readonly requestsOpen: boolean;
  /** QoS 1 messages not acknowledged. */
  readonly inflight: number;
  /** The new stream is open and the old connection is being brought to rest. */
  renewing(): void;
  /** The renewal has to be tried again. */
  failed(cause: IotError): void;
  /** DISCONNECT on the old stream, CONNECT on the new one, now. */
  switchTo(opened: Opened): void;
}

/** How long it waits for answers to requests, then for acknowledgements; both end well before the token does. */
const requestsQuietMs = 3_000;
const publishesQuietMs = 2_000;

type Stage =
  | { name: "resting" }
  | { name: "preparing"; attempt: Attempt }
  | { name: "requests" | "publishes"; opened: Opened; untilMs: number };

/**
 * The renewal of one connection's token. MQTT 3.1.1 cannot renew a token in place, so a renewal is a reconnect, made so
 * that nobody notices:
 *
 *     resting ──token nearly over──▶ preparing ──▶ requests ──▶ publishes ──▶ switch
 *        ▲                              │
 *        └────────── failed ────────────┘
 *
 * Token and stream are got ready while the old connection works. Then, each for a bounded time: requests under way get
 * their answers; nothing new is handed to the session until what is on the way is acknowledged, so that nothing has to be
 * sent twice. What was not answered after all stays in the session and is sent again.
 */
export class Renewal {
  readonly #settings: Settings;
  readonly #agenda: Agenda;
  readonly #token: TokenClock;
  readonly #host: RenewalHost;
  #stage: Stage = { name: "resting" };

  constructor(settings: Settings, agenda: Agenda, token: TokenClock, host: RenewalHost) {
    this.#settings = settings;
    this.#agenda = agenda;
    this.#token = token;
    this.#host = host;
    agenda.expect(token.deadlineMs);
  }

  /** Whether telemetry waits for the new connection. */
  get holding(): boolean {
    return this.#stage.name === "publishes";
  }

  get deadlineMs(): number {
    switch (this.#stage.name) {
      case "resting":
        return this.#token.deadlineMs;
      case "preparing":
        return this.#stage.attempt.deadlineMs;
      case "requests":
      case "publishes":
        return this.#stage.untilMs;
    }
  }

  tick(nowMs: number): void {
    if (nowMs < this.deadlineMs) return;
    const stage = this.#stage;
    if (stage.name === "preparing") return this.#failed(stage.attempt, stage.attempt.tooSlow);
    if (stage.name !== "resting") return this.advance(nowMs);
    if (this.#token.due(this.#settings.clock.wallMs(), nowMs)) this.#prepare(nowMs);
  }

  /** Moves on as soon as what it waits for is done, and at the latest when its time is over. */
  advance(nowMs: number): void {
    const stage = this.#stage;
    if (stage.name === "resting" || stage.name === "preparing") return;
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
    this.#stage = { name: "resting" };
    this.#host.switchTo(opened);
  }

  /** The old connection ended by itself: what was got ready is not needed. */
  drop(): void {
    const stage = this.#stage;
    this.#stage = { name: "resting" };
    if (stage.name === "preparing") stage.attempt.abort();
    else if (stage.name !== "resting") stage.opened.stream.destroy();
  }

  #prepare(nowMs: number): void {
    const attempt = new Attempt(this.#settings, nowMs);
    this.#stage = { name: "preparing", attempt };
    this.#agenda.expect(attempt.deadlineMs);
    attempt.open(true).then(
      (opened) => {
        if (this.#isPreparing(attempt)) this.#prepared(opened);
        else opened.stream.destroy();
      },
      (error: unknown) => this.#failed(attempt, attemptError(error)),
    );
  }

  #isPreparing(attempt: Attempt): boolean {
    return this.#stage.name === "preparing" && this.#stage.attempt === attempt;
  }

  #failed(attempt: Attempt, error: IotError): void {
    if (!this.#isPreparing(attempt)) return;
    const { clock } = this.#settings;
    attempt.abort();
    this.#stage = { name: "resting" };
    this.#token.postpone(clock.wallMs(), clock.nowMs());
    this.#agenda.expect(this.#token.deadlineMs);
    this.#host.failed(error);
  }

  #prepared(opened: Opened): void {
    const { clock } = this.#settings;
    const nowMs = clock.nowMs();
    const patienceMs = Math.max(0, (this.#token.leftMs(clock.wallMs(), nowMs) - 1_000) / 2);
    const untilMs = nowMs + Math.min(requestsQuietMs, patienceMs);
    const stage: Stage = { name: "requests", opened, untilMs };
    this.#stage = stage;
    this.#agenda.expect(untilMs);
    this.#host.renewing();
    // The status listener is the caller's code: it may have closed the client.
    if (this.#stage === stage) this.advance(nowMs);
  }
}
