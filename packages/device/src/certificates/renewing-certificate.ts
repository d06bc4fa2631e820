import { createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { IotError } from "@hubwire/protocol";
import { isIotError } from "../calls/errors.ts";
import { CertificateCredentials, pemText } from "../credentials/certificate.ts";
import type { CertificateFacts } from "../credentials/certificate.ts";
import type { CertificateText } from "../credentials/credentials.ts";
import type {
  Credential,
  CredentialContext,
  CredentialProvider,
  CredentialRequest,
  CredentialScope,
} from "../credentials/provider.ts";
import { readIdentity, removeIdentity, writeIdentity } from "./identity-file.ts";
import type { RenewedCertificate } from "./issued.ts";

export type RenewingCertificateOptions = {
  /** Where certificates are kept, in files only this user can read; made when it is missing. */
  directory: string;
  /** Used until the first renewed one is there. */
  initial?: CertificateText | undefined;
};

/** What speaks against a certificate rather than against the network. */
const verdicts: ReadonlySet<string> = new Set([
  "device.refused_not_authorized",
  "device.refused_credentials",
  "device.certificate_expired",
  "transport.client_certificate_rejected",
  "transport.tls_credentials",
]);

/**
 * An X.509 identity that is replaced from time to time: `keep` stores a new certificate with its key, and the **next**
 * connection uses it; the one in use goes on. The old one stays until a connection with the new one was accepted, and is
 * taken again when the hub refuses the new one.
 */
export class RenewingCertificate implements CredentialProvider {
  readonly #path: string;
  readonly #previousPath: string;
  readonly #initial: CertificateText | undefined;
  #loading: Promise<void> | undefined;
  #newest: CertificateCredentials | undefined;
  #previous: CertificateCredentials | undefined;
  /** The newest one, as it is stored; undefined while it is `initial`. */
  #stored: RenewedCertificate | undefined;
  #usePrevious = false;
  #context: CredentialContext | undefined;
  /** Changes to the files, one after the other. */
  #writing: Promise<unknown> = Promise.resolve();

  constructor(options: RenewingCertificateOptions) {
    this.#path = join(options.directory, "certificate.pem");
    this.#previousPath = join(options.directory, "certificate.previous.pem");
    this.#initial = options.initial;
  }

  /** Of the certificate the next connection presents; undefined before it was loaded, and when it cannot be read. */
  get facts(): CertificateFacts | undefined {
    return this.#chosen?.facts;
  }

  get standby(): boolean {
    return this.#usePrevious;
  }

  attach(context: CredentialContext): void {
    this.#context = context;
    this.#newest?.attach(context);
  }

  /** @throws IotError `certificate.store`, `device.certificate_expired` */
  async load(): Promise<void> {
    this.#loading ??= this.#load();
    try {
      await this.#loading;
    } catch (error) {
      this.#loading = undefined;
      throw error;
    }
  }

  async next(scope: CredentialScope, request: CredentialRequest): Promise<Credential> {
    await this.load();
    request.signal.throwIfAborted();
    const chosen = this.#chosen;
    if (chosen !== undefined) return chosen.next(scope, request);
    throw new IotError(
      "certificate.store",
      `There is no certificate in ${this.#path}, and no initial one`,
    );
  }

  /**
   * Stores a certificate for the connections to come, on disk before this resolves.
   * @throws IotError `certificate.store`, `argument.invalid` when key and certificate do not belong together
   */
  async keep(certificate: RenewedCertificate): Promise<void> {
    checkPair(certificate);
    await this.load();
    await this.#serialised(async () => {
      const old = this.#stored;
      if (old !== undefined && this.#previous === undefined)
        await writeIdentity(this.#previousPath, old);
      await writeIdentity(this.#path, certificate);
      // What was never accepted is not worth going back to.
      this.#previous ??= this.#newest;
      this.#replaceNewest(certificate);
    });
  }

  outcome(credential: Credential, failure: Error | undefined): void {
    const { tls } = credential;
    const isNewest = tls?.cert !== undefined && tls.cert === this.#stored?.cert;
    if (failure === undefined) {
      if (isNewest && this.#previous !== undefined) this.#forgetPrevious();
      return;
    }
    const isVerdict = isIotError(failure) && verdicts.has(failure.code);
    // In turn: a hub may learn of a new authority later than its devices do.
    if (isVerdict && this.#previous !== undefined) this.#usePrevious = isNewest;
  }

  close(): void {
    this.#newest?.close();
    this.#previous?.close();
  }

  get #chosen(): CertificateCredentials | undefined {
    return this.#usePrevious ? this.#previous : this.#newest;
  }

  async #load(): Promise<void> {
    const previous = await readIdentity(this.#previousPath).catch(() => undefined);
    let stored: RenewedCertificate | undefined;
    try {
      stored = await readIdentity(this.#path);
    } catch (error) {
      if (previous === undefined && this.#initial === undefined) throw error;
      this.#context?.notice(error as IotError);
    }
    const fallback = previous ?? this.#initial;
    if (stored === undefined) {
      this.#stored = previous;
      this.#newest = fallback === undefined ? undefined : new CertificateCredentials(fallback);
    } else {
      this.#previous = fallback === undefined ? undefined : new CertificateCredentials(fallback);
      this.#replaceNewest(stored);
    }
    if (this.#context !== undefined) this.#newest?.attach(this.#context);
  }

  #replaceNewest(certificate: RenewedCertificate): void {
    this.#newest?.close();
    this.#stored = certificate;
    const { cert, key, chain } = certificate;
    this.#newest = new CertificateCredentials({ cert, key, ...(chain !== "" && { chain }) });
    this.#usePrevious = false;
    if (this.#context !== undefined) this.#newest.attach(this.#context);
  }

  #forgetPrevious(): void {
    this.#previous = undefined;
    this.#usePrevious = false;
    this.#serialised(() => removeIdentity(this.#previousPath)).catch((error: unknown) =>
      this.#context?.notice(error as IotError),
    );
  }

  #serialised(work: () => Promise<void>): Promise<void> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => undefined);
    return done;
  }
}

/** @throws IotError `argument.invalid` */
function checkPair({ cert, key }: RenewedCertificate): void {
  try {
    if (new X509Certificate(pemText(cert)).checkPrivateKey(createPrivateKey(pemText(key)))) return;
  } catch (cause) {
    throw new IotError("argument.invalid", "Certificate or key cannot be read", { cause });
  }
  throw new IotError("argument.invalid", "The key does not belong to the certificate");
}

/** A certificate in a directory, which renewals replace. See `RenewingCertificate`. */
export const renewingCertificate = (options: RenewingCertificateOptions): RenewingCertificate =>
  new RenewingCertificate(options);
