import type { Clock, Timer } from "@hubwire/transport";
import { systemClock } from "@hubwire/transport";
import { isIotError } from "../calls/errors.ts";
import type { CertificateFacts } from "../credentials/certificate.ts";
import { certificateFacts } from "../credentials/certificate.ts";
import type { IssueOptions } from "./issue-call.ts";
import type { RenewedCertificate } from "./issued.ts";
import type { RenewingCertificate } from "./renewing-certificate.ts";

/** As much of a device client as renewing needs. */
export type RenewingClient = {
  renewCertificate(options?: IssueOptions): Promise<RenewedCertificate>;
  reportProperties(patch: Readonly<Record<string, unknown>>): Promise<unknown>;
};

export type KeepRenewedOptions = {
  /** Part of a certificate's life after which it is renewed, 2/3; 0.05 to 0.95. */
  renewAt?: number | undefined;
  /**
   * Whether `certificate.validFrom` and `certificate.validUntil` are reported in the twin, false: the convention by which a
   * fleet's certificates can be queried.
   */
  reportValidity?: boolean | undefined;
  /** Told of each certificate, when it is on disk. */
  onRenewed?: ((facts: CertificateFacts) => void) | undefined;
  /** Told of each attempt that failed; the next one comes by itself. */
  onError?: ((error: unknown) => void) | undefined;
  /** For simulation: time. */
  clock?: Clock | undefined;
  /** For simulation: numbers in [0, 1). */
  random?: (() => number) | undefined;
};

/** The wall clock may jump: it is asked this often at the latest. */
const lookEveryMs = 6 * 3_600_000;
/** Between attempts that fail: doubles, half of it by chance. */
const retryMinMs = 60_000;
const retryMaxMs = 6 * 3_600_000;

/**
 * Renews a device's certificate when its time has come, and stores it for the next connection.
 * @returns ends it; a request under way is called off
 */
export function keepRenewed(
  client: RenewingClient,
  certificate: RenewingCertificate,
  options: KeepRenewedOptions = {},
): () => void {
  const { renewAt = 2 / 3, clock = systemClock(), random = Math.random } = options;
  const end = new AbortController();
  let timer: Timer | undefined;
  let failures = 0;
  let replace: string | undefined;

  const wait = (ms: number): void => {
    if (!end.signal.aborted) timer = clock.at(clock.nowMs() + ms, () => void look());
  };

  async function look(): Promise<void> {
    try {
      await certificate.load();
      const dueMs = dueAt(certificate.facts, renewAt) - clock.wallMs();
      if (dueMs > 0) return wait(Math.min(dueMs, lookEveryMs));
      await renew();
      failures = 0;
      replace = undefined;
      wait(lookEveryMs);
    } catch (error) {
      if (end.signal.aborted) return;
      // An earlier request of this device, whose key is lost: the next attempt puts it aside.
      if (isIotError(error) && error.code === "certificate.active") replace = "*";
      failures += 1;
      options.onError?.(error);
      const mostMs = Math.min(retryMinMs * 2 ** (failures - 1), retryMaxMs);
      wait(mostMs * (0.5 + random() / 2));
    }
  }

  async function renew(): Promise<void> {
    const renewed = await client.renewCertificate({ signal: end.signal, replace });
    await certificate.keep(renewed);
    const facts = certificateFacts(renewed.cert);
    if (facts === undefined) return;
    options.onRenewed?.(facts);
    if (options.reportValidity !== true) return;
    try {
      await client.reportProperties({ certificate: validityOf(facts) });
    } catch (error) {
      options.onError?.(error);
    }
  }

  void look();
  return () => {
    timer?.cancel();
    end.abort();
  };
}

/** Unix milliseconds. A certificate that says nothing about itself is renewed at once. */
function dueAt(facts: CertificateFacts | undefined, renewAt: number): number {
  if (facts === undefined) return -Infinity;
  const part = Math.min(0.95, Math.max(0.05, renewAt));
  return facts.validFromMs + (facts.validToMs - facts.validFromMs) * part;
}

const validityOf = ({ validFromMs, validToMs }: CertificateFacts): Record<string, string> => ({
  validFrom: new Date(validFromMs).toISOString(),
  validUntil: new Date(validToMs).toISOString(),
});
