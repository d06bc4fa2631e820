/** One wait of a device, random between the two with equal chance everywhere; seconds. */
type Wait = { fromS: number; toS: number };

/** How a device that was connected for long comes back; what the option `retry` promises when nothing of it is given. */
export type Pace = {
  first: Wait;
  /** After the second failure, the third and so on; the last one goes on for ever. Empty: the first attempt succeeds. */
  further: readonly Wait[];
  /** How long an attempt takes to fail. */
  attemptS: number;
};

const first = { fromS: 1, toS: 10 };
const waits = (fromS: number, ...ceilings: number[]): Wait[] =>
  ceilings.map((toS) => ({ fromS, toS }));

/** A hub that takes everybody at the first attempt. */
export const noFailures: Pace = { first, further: [], attemptS: 0 };

/** A hub that is not there, refuses at once; a resolver without a network, or a mute hub, fails after `attemptS`. */
export const usualPace = (attemptS: number): Pace => ({
  first,
  further: waits(1, 4, 8, 16, 30),
  attemptS,
});

/** A hub that says that it has no room (CONNACK 3): four times as patient. */
export const slowPace: Pace = { first, further: waits(4, 16, 32, 64, 120), attemptS: 0 };

const stepsPerS = 50;

/**
 * What share of a herd tries in each second after all its connections ended in one moment, if no attempt ever succeeds: the
 * density of the first attempt, plus that of the second (first and second wait added), and so on. It is the most that can be
 * expected while attempts do succeed: who is in does not try again. Worked out from the numbers above alone.
 */
export function shareTryingPerSecond(pace: Pace, seconds: number): number[] {
  const steps = seconds * stepsPerS;
  let attempt = new Float64Array(steps);
  attempt[0] = 1;
  const rates = Array.from({ length: seconds }, () => 0);
  for (let n = 0; n <= seconds; n += 1) {
    const wait = n === 0 ? pace.first : (pace.further[n - 1] ?? pace.further.at(-1));
    if (wait === undefined) break;
    attempt = later(attempt, wait, n === 0 ? 0 : pace.attemptS);
    for (const [step, share] of attempt.entries()) {
      rates[Math.floor(step / stepsPerS)]! += share;
    }
  }
  return rates;
}

/** When something happens that comes a random wait after something that happens at `before`. */
function later(before: Float64Array<ArrayBuffer>, wait: Wait, attemptS: number) {
  const from = Math.round((wait.fromS + attemptS) * stepsPerS);
  const to = Math.round((wait.toS + attemptS) * stepsPerS);
  const after = new Float64Array(before.length);
  let inWindow = 0;
  for (let step = from; step < after.length; step += 1) {
    inWindow += before[step - from] ?? 0;
    inWindow -= before[step - to] ?? 0;
    after[step] = inWindow / (to - from);
  }
  return after;
}

/**
 * The most of `devices` that chance may bring together in one second when this share is expected: nobody tries twice within
 * a second (the shortest wait), so it is a binomial number, and it lies more than five standard deviations above its mean
 * once in some millions of seconds; five more, because with few devices it is not bell-shaped.
 */
export const mostPerSecond = (devices: number, share: number): number =>
  devices * share + 5 * Math.sqrt(devices * share) + 5;
