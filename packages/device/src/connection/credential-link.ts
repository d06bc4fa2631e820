import type { IotError } from "@hubwire/protocol";
import type { Credential } from "../credentials/provider.ts";
import type { Settings } from "../options/settings.ts";

/** What the connection needs from the credential provider, whose code may be anybody's: what it throws harms nothing. */
export class CredentialLink {
  readonly #settings: Settings;
  /** How often something new was announced. */
  #news = 0;
  #lastNews = "";
  /** The news a credential was asked after. */
  readonly #askedAt = new WeakMap<Credential, number>();
  #stop: (() => void) | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** @param changed `next` gives something new */
  start(changed: () => void): void {
    this.#guarded(() => {
      this.#stop = this.#settings.credentials.onChange?.((why) => {
        this.#news += 1;
        this.#lastNews = why;
        changed();
      });
    });
  }

  async next(fresh: boolean, signal: AbortSignal): Promise<Credential> {
    const { credentials, endpoint, clock } = this.#settings;
    const askedAt = this.#news;
    const scope = { hostName: endpoint.hostName, ...endpoint.identity };
    const credential = await credentials.next(scope, { wallMs: clock.wallMs(), fresh, signal });
    this.#askedAt.set(credential, askedAt);
    return credential;
  }

  /** What was announced since this credential was asked for; undefined when nothing was. */
  newsSince(credential: Credential): string | undefined {
    return this.#askedAt.get(credential) === this.#news ? undefined : this.#lastNews;
  }

  outcome(credential: Credential | undefined, failure: IotError | undefined): void {
    if (credential === undefined) return;
    this.#guarded(() => this.#settings.credentials.outcome?.(credential, failure));
  }

  /** Whether the next attempt presents something else than the one that failed. */
  get standby(): boolean {
    return this.#settings.credentials.standby === true;
  }

  close(): void {
    this.#guarded(() => this.#stop?.());
    this.#guarded(() => this.#settings.credentials.close?.());
  }

  #guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#settings.onError(error, "credentials");
    }
  }
}
