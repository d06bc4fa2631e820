import { watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import { realpath } from "node:fs/promises";
import { dirname } from "node:path";
import type { IotError } from "@hubwire/protocol";
import type { Timer } from "@hubwire/transport";
import { closed, isIotError } from "../calls/errors.ts";
import { CertificateCredentials, pemText } from "./certificate.ts";
import { namesOf, readCertificate, stampOf } from "./certificate-files.ts";
import type { CertificateFiles, CertificateText } from "./credentials.ts";
import type {
  Credential,
  CredentialContext,
  CredentialProvider,
  CredentialRequest,
  CredentialScope,
} from "./provider.ts";
import { Rotation } from "./rotation.ts";

/** After a notice of the file system: replacing a certificate takes several steps. */
const debounceMs = 100;
/** How soon files that do not belong together are looked at again. */
const unfinishedMs = 500;
/** How long they may take before the application is told. */
const patienceMs = 10_000;
const defaultPollMs = 30_000;

/**
 * A certificate in files, exchanged when they change. Notices of the file system are only hints to look: they may be
 * missing, early or many. What decides is that the files differ from those in use and belong together.
 */
export class WatchedCertificate implements CredentialProvider {
  readonly #files: CertificateFiles;
  readonly #changed: (why: string) => void;
  readonly #watchers = new Map<string, FSWatcher>();
  #rotation: Rotation | undefined;
  #context: CredentialContext | undefined;
  #newest: CertificateText | undefined;
  #inUse: CertificateCredentials | undefined;
  /** Of the files that were taken, or that need not be looked at again. */
  #stamp: string | undefined;
  #looking: Promise<void> | undefined;
  #timer: Timer | undefined;
  /** When the timer looks, monotonic milliseconds. */
  #dueMs = Infinity;
  /** Whether something happened in a folder of the files since the last look began. */
  #isStirred = false;
  #unfinishedSinceMs: number | undefined;
  #isClosed = false;

  constructor(files: CertificateFiles, changed: (why: string) => void) {
    this.#files = files;
    this.#changed = changed;
  }

  get standby(): boolean {
    return this.#rotation?.standby ?? false;
  }

  attach(context: CredentialContext): void {
    this.#context = context;
    this.#rotation?.attach(context);
  }

  async next(scope: CredentialScope, request: CredentialRequest): Promise<Credential> {
    const endMs = this.#inUse?.facts?.validToMs ?? Infinity;
    // Better a certificate the hub refused before than one that has ended.
    if (request.wallMs >= endMs) this.#stamp = undefined;
    await this.#look();
    request.signal.throwIfAborted();
    if (this.#rotation === undefined) throw closed("The certificate");
    return this.#rotation.next(scope, request);
  }

  outcome(credential: Credential, failure: Error | undefined): void {
    this.#rotation?.outcome(credential, failure);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    this.#rotation?.close();
  }

  /**
   * Takes what is in the files when it is new and complete.
   * @throws what reading throws, while there is nothing to go on with
   */
  #look(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #lookOnce(): Promise<void> {
    let again = this.#files.pollMs ?? defaultPollMs;
    this.#isStirred = false;
    try {
      const stamp = await stampOf(this.#files);
      if (stamp !== this.#stamp) {
        const certificate = await readCertificate(this.#files);
        if ((await stampOf(this.#files)) === stamp) {
          this.#stamp = stamp;
          this.#take(certificate);
        } else again = unfinishedMs;
      }
      this.#unfinishedSinceMs = undefined;
    } catch (error) {
      if (this.#rotation === undefined) throw error;
      again = this.#unfinished(error as IotError);
    } finally {
      await this.#watch();
      // What was written while we were reading may have come too late for it.
      this.#lookIn(this.#isStirred ? debounceMs : again);
    }
  }

  #take(certificate: CertificateText): void {
    if (this.#isClosed) return;
    if (this.#newest !== undefined && isSame(this.#newest, certificate)) return;
    this.#newest = certificate;
    const credentials = new CertificateCredentials(certificate);
    if (this.#rotation === undefined) {
      this.#inUse = credentials;
      this.#rotation = new Rotation(credentials);
      this.#rotation.onChange((why) => this.#changed(why));
      if (this.#context !== undefined) this.#rotation.attach(this.#context);
      return;
    }
    this.#rotation.offer(credentials).then(
      () => (this.#inUse = credentials),
      (error: unknown) => this.#refused(certificate, error),
    );
  }

  #refused(certificate: CertificateText, error: unknown): void {
    if (!isIotError(error) || error.code === "device.rotation_replaced") return;
    // Files that come back to what they were are new again.
    if (this.#newest === certificate) this.#newest = undefined;
    if (error.retryable) this.#stamp = undefined;
    this.#context?.notice(error);
  }

  #unfinished(error: IotError): number {
    const clock = this.#context?.clock;
    if (clock === undefined) return Infinity;
    const nowMs = clock.nowMs();
    this.#unfinishedSinceMs ??= nowMs;
    if (nowMs - this.#unfinishedSinceMs < patienceMs) return unfinishedMs;
    if (this.#unfinishedSinceMs !== -Infinity) this.#context?.notice(error);
    this.#unfinishedSinceMs = -Infinity;
    return this.#files.pollMs ?? defaultPollMs;
  }

  #lookIn(waitMs: number): void {
    const clock = this.#context?.clock;
    if (this.#isClosed || clock === undefined) return;
    this.#timer?.cancel();
    this.#dueMs = clock.nowMs() + waitMs;
    this.#timer = clock.at(this.#dueMs, () => {
      this.#dueMs = Infinity;
      // While there is no certificate, the next attempt to connect looks again and reports.
      this.#look().catch(() => undefined);
    });
  }

  /** Something happened in a folder of the files. Not put off by more of it: other files may change there all the time. */
  #stirred(): void {
    this.#isStirred = true;
    const nowMs = this.#context?.clock.nowMs() ?? 0;
    if (this.#dueMs > nowMs + debounceMs) this.#lookIn(debounceMs);
  }

  /** Watches the folders, because a file that is replaced is another file; those behind links too. */
  async #watch(): Promise<void> {
    const folders = new Set<string>();
    for (const file of namesOf(this.#files)) {
      folders.add(dirname(file));
      const real = await realpath(file).catch(() => file);
      folders.add(dirname(real));
    }
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of folders) this.#watchFolder(folder);
  }

  #watchFolder(folder: string): void {
    if (this.#isClosed || this.#watchers.has(folder)) return;
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#stirred());
      this.#watchers.set(folder, watcher);
      watcher.on("error", () => {
        watcher.close();
        this.#watchers.delete(folder);
      });
    } catch {
      // No such folder, or no more watchers in this system: looking every now and then finds it.
    }
  }
}

const isSame = (a: CertificateText, b: CertificateText): boolean =>
  pemText(a.cert ?? "") === pemText(b.cert ?? "") &&
  pemText(a.key ?? "") === pemText(b.key ?? "") &&
  pemText(a.chain ?? "") === pemText(b.chain ?? "");
