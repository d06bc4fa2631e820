import { connect } from "@hubwire/device";
import type { DeviceClient, RetryOptions } from "@hubwire/device";
import { seededRandom } from "@hubwire/testkit";
import { HerdHub } from "./herd-hub.ts";
import type { Absence, Overflow } from "./herd-hub.ts";
import { mostPerSecond, shareTryingPerSecond } from "./herd-rates.ts";
import type { Pace } from "./herd-rates.ts";

export type HerdScenario = {
  name: string;
  absence: Absence;
  awayMs: number;
  /** Share of the herd that the hub lets in per second once it is back. */
  sharePerSecond: number;
  overflow: Overflow;
  /** How devices come back that keep failing. */
  pace: Pace;
  /** When the last one is back, counted from the moment the hub went away. */
  allBackMs: number;
};

/** A mistake in how devices come back; it must be found. */
export type HerdBug = { name: string; random?: () => number; retry?: RetryOptions };

export type HerdResult = {
  violations: string[];
  /** Attempts in each second after the hub went away, in vain or not. */
  attemptsPerSecond: number[];
  /** The most attempts in any second, wherever it begins, and the bound that follows from `pace`. */
  peak: number;
  peakMax: number;
  /** As `peak`, of the attempts that found the hub back. */
  peakAtHub: number;
  /** Undefined when some never came back. */
  lastBackMs: number | undefined;
};

/** All of a herd loses its hub in one moment. */
export async function herd(
  scenario: HerdScenario,
  options: { devices: number; seed: number; bug?: HerdBug | undefined },
): Promise<HerdResult> {
  const { devices, seed, bug } = options;
  const { absence, awayMs, sharePerSecond, overflow, pace, allBackMs } = scenario;
  const hub = new HerdHub({ perSecond: devices * sharePerSecond, overflow });
  const { clock } = hub;
  const random = seededRandom(seed);
  const clients: DeviceClient[] = [];
  for (let i = 0; i < devices; i += 1) {
    // oxlint-disable-next-line no-await-in-loop -- in a fixed order
    const client = await connect({
      credentials: { hostName: "hub", deviceId: `d${i}`, sharedAccessKey: "MDEyMzQ1Njc4OQ==" },
      waitForConnection: false,
      clock,
      random: bug?.random ?? (() => random.next()),
      ...(bug?.retry === undefined ? {} : { retry: bug.retry }),
      openStream: hub.open,
      keepAliveS: 1_177,
      tokenLifetimeS: 86_400,
      methods: { ping: () => ({ status: 200 }) },
    });
    clients.push(client);
  }
  // Longer than a connection has to last to count.
  await clock.advance(61_000);
  const violations: string[] = [];
  if (hub.entries.length !== devices) violations.push(`${hub.entries.length} began connected`);

  hub.leave(absence, awayMs);
  const goneAtMs = clock.nowMs();
  while (hub.entries.length < devices && clock.nowMs() - goneAtMs < allBackMs) {
    // oxlint-disable-next-line no-await-in-loop -- second by second
    await clock.advance(1_000);
  }
  const lastBackMs = hub.entries.length === devices ? Math.max(...hub.entries) : undefined;
  if (lastBackMs === undefined) {
    const missing = devices - hub.entries.length;
    violations.push(`${missing} of ${devices} are not back after ${allBackMs / 1_000} s`);
  }
  const knocksAtLast = hub.knocks.length;
  await clock.advance(300_000);
  if (hub.knocks.length !== knocksAtLast && lastBackMs !== undefined) {
    violations.push("somebody who was in left again");
  }

  const attempts = [...hub.inVain, ...hub.knocks];
  const attemptsPerSecond = perSecond(attempts);
  const shares = shareTryingPerSecond(pace, Math.max(attemptsPerSecond.length, 60));
  for (const [second, count] of attemptsPerSecond.entries()) {
    const most = mostPerSecond(devices, shares[second] ?? 0);
    if (count > most) {
      violations.push(
        `${count} attempts in second ${second}, at most ${Math.floor(most)} expected`,
      );
    }
  }
  const peak = peakPerSecond(attempts);
  const peakMax = Math.floor(mostPerSecond(devices, Math.max(...shares)));
  if (peak > peakMax)
    violations.push(`${peak} attempts within a second, at most ${peakMax} expected`);
  for (const client of clients) void client.close({ timeoutMs: 0 });
  await clock.settle();
  return {
    violations,
    attemptsPerSecond,
    peak,
    peakMax,
    peakAtHub: peakPerSecond(hub.knocks),
    lastBackMs,
  };
}

function perSecond(momentsMs: readonly number[]): number[] {
  const counts: number[] = [];
  for (const atMs of momentsMs) {
    const second = Math.floor(atMs / 1_000);
    while (counts.length <= second) counts.push(0);
    counts[second]! += 1;
  }
  return counts;
}

/** The most in any second, wherever it begins. */
function peakPerSecond(momentsMs: readonly number[]): number {
  const sorted = momentsMs.toSorted((a, b) => a - b);
  let peak = 0;
  let from = 0;
  for (const [to, atMs] of sorted.entries()) {
    while (atMs - (sorted[from] ?? 0) >= 1_000) from += 1;
    peak = Math.max(peak, to - from + 1);
  }
  return peak;
}
