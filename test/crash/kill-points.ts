import type { SeededRandom } from "@hubwire/testkit";
import type { EventKind, KillPoint } from "./life.ts";

/** How many events of a kind there may be before the kill, under load. */
const loadCounts: [EventKind, number][] = [
  ["puback", 1500],
  ["puback", 300],
  ["puback", 20],
  ["twin", 60],
  ["suback", 12],
  ["identity", 30],
  ["c2d", 40],
  ["segment", 2],
  ["file", 200],
];

/** And while the hub starts and is first used: files made and written, then everything that is asked of it. */
const startCounts: [EventKind, number][] = [
  ["file", 40],
  ["file", 12],
  ["identity", 8],
  ["twin", 4],
  ["suback", 3],
];

export function pickKillPoint(random: SeededRandom): KillPoint {
  const phase = random.chance(0.3) ? "start" : "load";
  const [kind, most] = random.pick(phase === "start" ? startCounts : loadCounts);
  return { phase, kind, count: 1 + random.int(most) };
}

/** A life that ends only when everything was checked. */
export const never: KillPoint = { phase: "load", kind: "file", count: Infinity };
