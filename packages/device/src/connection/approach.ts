import type { IotError } from "@hubwire/protocol";
import type { Credential } from "../credentials/provider.ts";
import type { Settings } from "../options/settings.ts";
import type { Agenda } from "./agenda.ts";
import { Attempt } from "./attempt.ts";
import type { Opened } from "./attempt.ts";
import type { CredentialLink } from "./credential-link.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Provisioner } from "./provisioner.ts";
import { attemptError } from "./refusal.ts";

/** What the way to a connection tells. */
export interface ApproachHost {
  /** The provisioning service is being asked. */
  asking(): void;
  /** An attempt to reach the hub begins. */
  trying(): void;
  /** The provisioning service named an endpoint. */
  moved(before: Endpoint, endpoint: Endpoint): void;
  /** Now CONNECT. */
  opened(opened: Opened): void;
  /** @param attempt undefined when it was the provisioning service that could not be asked */
  failed(error: IotError, attempt: Attempt | undefined): void;
}

/** The way to a connection: which hub, with what credential, over what stream, and CONNACK; one attempt at a time. */
export class Approach {
  readonly #settings: Settings;
  readonly #agenda: Agenda;
  readonly #link: CredentialLink;
  readonly #host: ApproachHost;
  /** The question to the provisioning service that is under way; it has a deadline of its own. */
  #asking: AbortController | undefined;
  #attempt: Attempt | undefined;

  constructor(settings: Settings, agenda: Agenda, link: CredentialLink, host: ApproachHost) {
    this.#settings = settings;
    this.#agenda = agenda;
    this.#link = link;
    this.#host = host;
  }

  get deadlineMs(): number {
    return this.#attempt?.deadlineMs ?? Infinity;
  }

  /** @param fresh whether the last token must not be used again */
  start(nowMs: number, fresh: boolean): void {
    const { provisioner } = this.#settings;
    if (provisioner?.due === true) this.#provision(provisioner, fresh);
    else this.#open(nowMs, fresh);
  }

  /** The last part of the way, on a stream that is open: CONNACK has to come in time. */
  awaitConnack(credential: Credential, nowMs: number): void {
    this.#attempt ??= this.#newAttempt(nowMs);
    this.#attempt.stage = "waiting for CONNACK";
    this.#attempt.credential = credential;
  }

  /** The attempt took too long. */
  expire(): void {
    const attempt = this.#attempt;
    if (attempt !== undefined) this.#failed(attempt, attempt.tooSlow);
  }

  /** Arrived, or turned back. */
  done(): void {
    this.#attempt = undefined;
  }

  abort(): void {
    this.#asking?.abort();
    this.#asking = undefined;
    this.#attempt?.abort();
    this.#attempt = undefined;
  }

  /** Asks which hub to connect to, and connects there. */
  #provision(provisioner: Provisioner, fresh: boolean): void {
    const { clock } = this.#settings;
    const asking = new AbortController();
    this.#asking = asking;
    this.#host.asking();
    provisioner.assign(asking.signal).then(
      (endpoint) => {
        if (this.#asking !== asking) return;
        this.#asking = undefined;
        const before = this.#settings.endpoint;
        this.#settings.endpoint = endpoint;
        this.#host.moved(before, endpoint);
        this.#open(clock.nowMs(), fresh);
      },
      (error: unknown) => {
        if (this.#asking !== asking) return;
        this.#asking = undefined;
        this.#host.failed(attemptError(error), undefined);
      },
    );
  }

  #open(nowMs: number, fresh: boolean): void {
    const attempt = this.#newAttempt(nowMs);
    this.#attempt = attempt;
    this.#host.trying();
    attempt.open(fresh).then(
      (opened) => {
        if (this.#attempt === attempt) this.#host.opened(opened);
        else opened.stream.destroy();
      },
      (error: unknown) => this.#failed(attempt, attemptError(error)),
    );
  }

  #newAttempt(nowMs: number): Attempt {
    const attempt = new Attempt(this.#settings, this.#link, nowMs);
    this.#agenda.expect(attempt.deadlineMs);
    return attempt;
  }

  #failed(attempt: Attempt, error: IotError): void {
    if (this.#attempt !== attempt) return;
    this.#attempt = undefined;
    attempt.abort();
    this.#host.failed(error, attempt);
  }
}
