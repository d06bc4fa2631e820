import type { Clock, Timer } from "@hubwire/transport";
import type { Logger } from "./domain/observe.ts";
import type { PemPair, HubCertificates } from "./tls/index.ts";

const everyMs = 6 * 3_600_000;

/**
 * What is looked at from time to time: leftovers of deleted identities, and the age of the server certificate.
 * @param onRenewed lets the listeners use the new certificate
 * @returns ends it, after what is under way
 */
export function keepHouse(parts: {
  clock: Clock;
  logger: Logger;
  certificates: HubCertificates;
  sweep: () => Promise<{ removed: number }>;
  onRenewed: (credentials: PemPair) => void;
}): () => Promise<void> {
  const { clock, logger, certificates } = parts;
  let timer: Timer | undefined;
  let round: Promise<void>;

  const renew = async (): Promise<void> => {
    const why = await certificates.renew(clock.wallMs());
    if (why === undefined) return;
    parts.onRenewed(certificates.server);
    logger.info(
      { event: "certificate_renewed", reason: why },
      "The server certificate was renewed",
    );
  };
  const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      logger.warn({ event: "housekeeping_failed", reason: String(error) }, `${what} failed`);
    }
  };
  const turn = async (): Promise<void> => {
    await attempt("Sweeping leftovers of deleted devices", parts.sweep);
    await attempt("Renewing the server certificate", renew);
  };
  const arm = (): void => {
    timer = clock.at(clock.nowMs() + everyMs, () => {
      round = turn().then(arm);
    });
  };
  round = turn().then(arm);
  return async () => {
    await round;
    timer?.cancel();
  };
}
