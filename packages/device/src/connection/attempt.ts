import { IotError } from "@hubwire/protocol";
import type { ByteStream } from "@hubwire/transport";
import type { Credential } from "../credentials/provider.ts";
import type { Settings } from "../options/settings.ts";

/** What a CONNECT needs. */
export type Opened = { credential: Credential; stream: ByteStream };

/** One try to get to the hub: a token, a stream, CONNACK; all of it by one deadline. */
export class Attempt {
  readonly deadlineMs: number;
  /** For the message when it takes too long. */
  stage: "waiting for a token" | "opening the stream" | "waiting for CONNACK" =
    "waiting for a token";
  readonly #settings: Settings;
  readonly #controller = new AbortController();

  constructor(settings: Settings, nowMs: number) {
    this.#settings = settings;
    this.deadlineMs = nowMs + settings.attemptTimeoutMs;
  }

  /**
   * @param fresh whether the last token must not be used again
   * @throws what the credential provider, the dialler or `abort` make it throw
   */
  async open(fresh: boolean): Promise<Opened> {
    const { credentials, endpoint, clock, dial } = this.#settings;
    const { signal } = this.#controller;
    const { hostName, identity, dialHost: host, port } = endpoint;
    const request = { wallMs: clock.wallMs(), fresh, signal };
    const credential = await credentials.next({ hostName, ...identity }, request);
    signal.throwIfAborted();
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
