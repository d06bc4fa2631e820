import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import type { Timer } from "@hubwire/transport";
import { isIotError } from "../calls/errors.ts";
import { Presented } from "./presented.ts";
import type {
  Credential,
  CredentialContext,
  CredentialProvider,
  CredentialRequest,
  CredentialScope,
} from "./provider.ts";

/** Which of the two is in use from now on; `cause` says why the next one is not. */
export type RotationEnd = { winner: "next" } | { winner: "current"; cause: IotError };

/** Told when it is decided, to store which credential counts; awaited. */
export type OnRotated = (end: RotationEnd) => void | Promise<void>;

/** Trials that end without an answer of the hub (no network, time-out) before the offer is given up. */
const trialsMax = 5;
/** Wait before the second trial; doubles for each further one. */
const firstWaitMs = 5_000;

/** What a hub says of a credential it does not take. Everything else may be the network's fault. */
const verdicts: ReadonlySet<ErrorCode> = new Set([
  "device.refused_not_authorized",
  "device.refused_credentials",
  "device.refused_identifier",
  "transport.client_certificate_rejected",
  "transport.tls_credentials",
]);

type Candidate = {
  provider: CredentialProvider;
  trials: number;
  onRotated: OnRotated | undefined;
  /** Given at the start: nobody holds the promise. */
  isUnattended: boolean;
  resolve: () => void;
  reject: (error: IotError) => void;
};

/**
 * Exchanges one credential for another while the device works.
 *
 *     settled ──offer──▶ trying ──CONNACK 0──▶ settled, with the new one
 *                        │    ▲ └──refused──▶ settled, with the old one
 *            no answer   ▼    │ after a while; at once when the old one is refused
 *                       resting
 *
 * The new one is presented once; until the hub has taken it, the old one is kept.
 */
export class Rotation implements CredentialProvider {
  #current: CredentialProvider;
  #stopForwarding: (() => void) | undefined;
  #candidate: Candidate | undefined;
  #isTrying = false;
  /** Whose credential failed, while the client deals with that. */
  #failed: CredentialProvider | undefined;
  #retry: Timer | undefined;
  #context: CredentialContext | undefined;
  #isClosed = false;
  readonly #listeners = new Set<(why: string) => void>();
  readonly #given = new WeakMap<Credential, { by: CredentialProvider; inner: Credential }>();

  constructor(current: CredentialProvider) {
    this.#current = current;
    this.#forward();
  }

  /** Whether an offer is waiting to be decided. */
  get pending(): boolean {
    return this.#candidate !== undefined;
  }

  get standby(): boolean {
    const next = this.#presenting;
    if (this.#failed !== undefined && this.#failed !== next) return true;
    return next.standby === true;
  }

  get #presenting(): CredentialProvider {
    return (this.#isTrying ? this.#candidate?.provider : undefined) ?? this.#current;
  }

  /**
   * Puts a new credential on trial: at once, or with `whenConnected` after the current one has connected or was refused.
   * Resolves when the hub has taken it and `onRotated` has stored that.
   * @throws IotError `device.rotation_refused`, `device.rotation_undecided`, `device.rotation_replaced`,
   *   `device.rotation_unsaved`
   */
  offer(
    provider: CredentialProvider,
    options: { onRotated?: OnRotated | undefined; whenConnected?: boolean } = {},
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const { onRotated, whenConnected = false } = options;
      this.#drop(new IotError("device.rotation_replaced", "A newer credential was offered"));
      if (this.#isClosed) {
        provider.close?.();
        reject(new IotError("client.closed", "No credential can be offered: it is closed"));
        return;
      }
      if (this.#context !== undefined) provider.attach?.(this.#context);
      const isUnattended = whenConnected;
      this.#candidate = { provider, trials: 0, onRotated, isUnattended, resolve, reject };
      if (!whenConnected) this.#try();
    });
  }

  /** Takes an offer back while it is not decided. */
  withdraw(provider: CredentialProvider): void {
    if (this.#candidate?.provider !== provider) return;
    this.#drop(new IotError("device.rotation_replaced", "The new credential was taken back"));
  }

  async next(scope: CredentialScope, request: CredentialRequest): Promise<Credential> {
    const candidate = this.#isTrying ? this.#candidate : undefined;
    if (candidate !== undefined) {
      try {
        const inner = await candidate.provider.next(scope, { ...request, fresh: false });
        if (this.#candidate === candidate) return this.#give(candidate.provider, inner, true);
      } catch (error) {
        request.signal.throwIfAborted();
        if (this.#candidate === candidate) this.#unproven(candidate, asIotError(error));
      }
    }
    const provider = this.#current;
    return this.#give(provider, await provider.next(scope, request), false);
  }

  outcome(credential: Credential, failure: Error | undefined): void {
    const given = this.#given.get(credential);
    if (given === undefined) return;
    given.by.outcome?.(given.inner, failure);
    if (failure !== undefined) this.#note(given.by);
    const candidate = this.#candidate;
    if (candidate === undefined) return;
    if (given.by === candidate.provider) {
      if (failure === undefined) this.#won(candidate);
      else this.#unproven(candidate, asIotError(failure));
    } else if (given.by === this.#current && !this.#isTrying) {
      if (failure === undefined) this.#try();
      // No need to tell: the connection that is missing is made with the other one.
      else if (isVerdict(failure)) this.#isTrying = true;
    }
  }

  /** For as long as the client asks for `standby`: what a connection ends of later is another matter. */
  #note(failed: CredentialProvider): void {
    this.#failed = failed;
    queueMicrotask(() => (this.#failed = undefined));
  }

  onChange(listener: (why: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  attach(context: CredentialContext): void {
    this.#context = context;
    this.#current.attach?.(context);
    this.#candidate?.provider.attach?.(context);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#drop(new IotError("device.rotation_replaced", "The client was closed"));
    this.#stopForwarding?.();
    this.#listeners.clear();
    this.#current.close?.();
  }

  #give(by: CredentialProvider, inner: Credential, isTrial: boolean): Credential {
    const credential = new Presented({
      password: inner.password,
      tls: inner.tls,
      expiresAtMs: inner.expiresAtMs,
      renewable: inner.renewable,
      trial: isTrial || inner.trial === true,
    });
    this.#given.set(credential, { by, inner });
    return credential;
  }

  #try(): void {
    this.#retry?.cancel();
    this.#isTrying = true;
    this.#tell("a new credential is to be tried");
  }

  #won(candidate: Candidate): void {
    this.#stopForwarding?.();
    this.#current.close?.();
    this.#current = candidate.provider;
    this.#settle();
    this.#forward();
    void this.#decide(candidate, { winner: "next" });
  }

  #unproven(candidate: Candidate, cause: IotError): void {
    candidate.trials += 1;
    const isFinal = isVerdict(cause) || isOwnFault(cause);
    if (isFinal || candidate.trials >= trialsMax) {
      const code = isFinal ? "device.rotation_refused" : "device.rotation_undecided";
      this.#lost(candidate, new IotError(code, `The new credential: ${cause.message}`, { cause }));
      return;
    }
    this.#isTrying = false;
    const clock = this.#context?.clock;
    if (clock === undefined) return;
    const waitMs = firstWaitMs * 2 ** (candidate.trials - 1);
    this.#retry?.cancel();
    this.#retry = clock.at(clock.nowMs() + waitMs, () => {
      if (this.#candidate === candidate) this.#try();
    });
  }

  #lost(candidate: Candidate, cause: IotError): void {
    this.#settle();
    candidate.provider.close?.();
    if (candidate.isUnattended) this.#context?.notice(cause);
    void this.#decide(candidate, { winner: "current", cause });
  }

  /** An offer that is not decided on any more; nothing is stored. */
  #drop(error: IotError): void {
    const candidate = this.#candidate;
    if (candidate === undefined) return;
    this.#settle();
    candidate.provider.close?.();
    candidate.reject(error);
  }

  #settle(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#candidate = undefined;
    this.#isTrying = false;
  }

  async #decide(candidate: Candidate, end: RotationEnd): Promise<void> {
    try {
      await candidate.onRotated?.(end);
    } catch (cause) {
      if (end.winner === "next") {
        const text = "onRotated failed to store that the new credential is in use";
        candidate.reject(new IotError("device.rotation_unsaved", text, { cause }));
        return;
      }
    }
    if (end.winner === "next") candidate.resolve();
    else candidate.reject(end.cause);
  }

  #forward(): void {
    this.#stopForwarding = this.#current.onChange?.((why) => this.#tell(why));
  }

  #tell(why: string): void {
    for (const listener of this.#listeners) listener(why);
  }
}

const isVerdict = (failure: Error): boolean => isIotError(failure) && verdicts.has(failure.code);

/** What the new credential's own provider says of it: an expired certificate, files that are none. */
const isOwnFault = (failure: IotError): boolean =>
  !failure.retryable && /^(?:device\.(?:certificate|token)|secret|sas)[._]/u.test(failure.code);

const asIotError = (error: unknown): IotError =>
  isIotError(error)
    ? error
    : new IotError("device.token_unavailable", "The credential provider failed", { cause: error });
