import type { CertificateFiles } from "./credentials.ts";
import type {
  Credential,
  CredentialContext,
  CredentialProvider,
  CredentialRequest,
  CredentialScope,
} from "./provider.ts";
import type { WatchedCertificate } from "./watched-certificate.ts";

/** An X.509 identity in files. What reads and watches them is loaded when the first connection is made. */
export class FileCertificate implements CredentialProvider {
  readonly #files: CertificateFiles;
  #watched: WatchedCertificate | undefined;
  #loading: Promise<WatchedCertificate> | undefined;
  #context: CredentialContext | undefined;
  #isClosed = false;
  readonly #listeners = new Set<(why: string) => void>();

  constructor(files: CertificateFiles) {
    this.#files = files;
  }

  get standby(): boolean {
    return this.#watched?.standby ?? false;
  }

  attach(context: CredentialContext): void {
    this.#context = context;
    this.#watched?.attach(context);
  }

  async next(scope: CredentialScope, request: CredentialRequest): Promise<Credential> {
    this.#loading ??= this.#load();
    const watched = await this.#loading;
    return watched.next(scope, request);
  }

  outcome(credential: Credential, failure: Error | undefined): void {
    this.#watched?.outcome(credential, failure);
  }

  onChange(listener: (why: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#isClosed = true;
    this.#listeners.clear();
    this.#watched?.close();
  }

  async #load(): Promise<WatchedCertificate> {
    const { WatchedCertificate } = await import("./watched-certificate.ts");
    const watched = new WatchedCertificate(this.#files, (why) => this.#tell(why));
    this.#watched = watched;
    if (this.#context !== undefined) watched.attach(this.#context);
    if (this.#isClosed) watched.close();
    return watched;
  }

  #tell(why: string): void {
    for (const listener of this.#listeners) listener(why);
  }
}
