import type { IotError } from "@hubwire/protocol";
import { invalid } from "../calls/errors.ts";
import { checkNumber } from "../options/bounds.ts";

/** How a client comes back. Everything has a default; without any of it the client tries for ever. */
export type RetryOptions = {
  /** Shortest wait, 1000 ms. */
  minMs?: number;
  /** Longest wait, 30000 ms: waits are random between `minMs` and a bound that doubles up to `maxMs`. */
  maxMs?: number;
  /**
   * Longest wait while the hub throttles or refuses, or another client takes the identity, 120000 ms (four times `maxMs`);
   * the shortest is then four times `minMs`. Trying sooner would add to what the hub suffers from.
   */
  slowMaxMs?: number;
  /** How long a connection must last until the waits begin from `minMs` again, 60000 ms. */
  stableMs?: number;
  /**
   * When a connection ends that lasted `stableMs`, the first wait is random between `minMs` and this, 10000 ms, at most
   * `maxMs`; 0 for between `minMs` and twice that. A hub that restarts ends the connections of all its devices in one moment;
   * this keeps ten thousand of them from being back within the same second.
   */
  spreadMs?: number;
  /** Gives up with `device.gave_up` after so many milliseconds without a connection; never. */
  budgetMs?: number;
  /** Gives up with `device.gave_up` after so many failed attempts in a row; never. */
  attemptsMax?: number;
  /**
   * Gives up after so many refusals in a row that no waiting heals (unknown or disabled device, wrong key), 1000; `Infinity`
   * for never. At the slow pace that is most of a day: long enough for an operator who disabled the device by mistake, or for
   * a registry that has to be restored; short enough that a device that was retired does not knock for years. Before it comes
   * to that, a fresh token, the other credential (if there are two) and the provisioning service (with `provisioning`) were
   * tried.
   */
  refusalsMax?: number;
  /**
   * Asked after every failure, with the number of attempts since the last connection; false gives up with `device.gave_up`.
   * What it throws is false.
   */
  shouldRetry?: (cause: IotError, attempt: number) => boolean;
};

/** The options, filled in. */
export type RetryPolicy = Required<Omit<RetryOptions, "shouldRetry">> &
  Pick<RetryOptions, "shouldRetry">;

const dayMs = 86_400_000;
const known: ReadonlySet<string> = new Set<keyof RetryOptions>([
  "minMs",
  "maxMs",
  "slowMaxMs",
  "stableMs",
  "spreadMs",
  "budgetMs",
  "attemptsMax",
  "refusalsMax",
  "shouldRetry",
]);

/**
 * @param delay the connection guide's `reconnect_delay`: another name for `minMs` and `maxMs`
 * @throws IotError `argument.invalid`
 */
export function retryPolicy(
  retry: RetryOptions = {},
  delay?: Pick<RetryOptions, "minMs" | "maxMs">,
): RetryPolicy {
  if (delay !== undefined && (retry.minMs ?? retry.maxMs) !== undefined) {
    throw invalid("Pass the waits as retry or as reconnectDelay, not as both");
  }
  for (const name of Object.keys(retry)) {
    if (!known.has(name)) throw invalid(`There is no option retry.${name}`);
  }
  const from = delay === undefined ? "retry" : "reconnectDelay";
  const { minMs = 1_000, maxMs = Math.max(30_000, minMs) } = delay ?? retry;
  checkNumber(`${from}.minMs`, minMs, 1, 3_600_000);
  checkNumber(`${from}.maxMs`, maxMs, minMs, 3_600_000);
  const { slowMaxMs = 4 * maxMs, stableMs = 60_000, spreadMs = 10_000, shouldRetry } = retry;
  checkNumber("retry.slowMaxMs", slowMaxMs, maxMs, dayMs);
  checkNumber("retry.stableMs", stableMs, 0, dayMs);
  checkNumber("retry.spreadMs", spreadMs, 0, dayMs);
  if (shouldRetry !== undefined && typeof shouldRetry !== "function") {
    throw invalid("retry.shouldRetry is a function");
  }
  return {
    minMs,
    maxMs,
    slowMaxMs,
    stableMs,
    spreadMs,
    budgetMs: countOrNever("retry.budgetMs", retry.budgetMs),
    attemptsMax: countOrNever("retry.attemptsMax", retry.attemptsMax),
    refusalsMax: countOrNever("retry.refusalsMax", retry.refusalsMax ?? 1_000),
    ...(shouldRetry === undefined ? {} : { shouldRetry }),
  };
}

function countOrNever(name: string, given: number | undefined): number {
  if (given === undefined || given === Infinity) return Infinity;
  checkNumber(name, given, 1, Number.MAX_SAFE_INTEGER);
  return given;
}
