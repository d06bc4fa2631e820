import { IotError } from "@hubwire/protocol";
import type { ByteStream } from "@hubwire/transport";
import type { Credential } from "../credentials/provider.ts";
import type { Settings } from "../options/settings.ts";
import type { CredentialLink } from "./credential-link.ts";

/** What a CONNECT needs. */
export type Opened = { credential: Credential; stream: ByteStream };

/** One try to get to the hub: a token, a stream, CONNACK; all of it by one deadline. */
export class Attempt {
  readonly deadlineMs: number;
  /** For the message when it takes too long. */
  stage: "waiting for a token" | "opening the stream" | "waiting for CONNACK" =
    "waiting for a token";
  /** What was presented, once that is known. */
  credential: Credential | undefined;
  readonly #settings: Settings;
  readonly #link: CredentialLink;
  readonly #controller = new AbortController();

  constructor(settings: Settings, link: CredentialLink, nowMs: number) {
    this.#settings = settings;
    this.#link = link;
    this.deadlineMs = nowMs + settings.attemptTimeoutMs;
  }

  /**
   * @param fresh whether the last token must not be used again
   * @throws what the credential provider, the dialler or `abort` make it throw
   */
  async open(fresh: boolean): Promise<Opened> {
    const { endpoint, dial } = this.#settings;
    const { signal } = this.#controller;
    const { dialHost: host, port } = endpoint;
    const credential = await this.#link.next(fresh, signal);
    signal.throwIfAborted();
    this.credential = credential;
    this.stage = "opening the stream";
    const stream = await dial({ host, port, identity: credential.tls }, signal);
    if (signal.aborted) stream.destroy();
    signal.throwIfAborted();
    return { credential, stream };
  }

  abort(): void {
    this.#controller.abort();
  }

  get tooSlow(): IotError {
    return new IotError(
      "device.attempt_timeout",
      `Gave up after ${this.#settings.attemptTimeoutMs} ms while ${this.stage}`,
    );
  }
}
