import type { CloseCause } from "@hubwire/transport";
import { VirtualClock } from "@hubwire/transport";
import { IotError } from "@hubwire/protocol";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Agenda } from "../src/connection/agenda.ts";
import { ClockSkew } from "../src/connection/clock-skew.ts";
import { retryPolicy } from "../src/connection/retry.ts";
import { Takeover, takeoverMarks } from "../src/connection/takeover.ts";
import { systemNetwork, Vigil } from "../src/connection/vigil.ts";
import type { Settings } from "../src/options/settings.ts";

const byPeer = (code?: string): CloseCause => ({
  by: "peer",
  error: code === undefined ? undefined : Object.assign(new Error(code), { code }),
});
const wordless = byPeer();

/** Connections of these lengths, each ended this way, half a second apart. */
function fight(lives: readonly { livedMs: number; cause?: CloseCause; failed?: boolean }[]) {
  const takeover = new Takeover();
  let nowMs = 0;
  const taken = lives.map(({ livedMs, cause = wordless, failed }) => {
    takeover.connected(nowMs);
    nowMs += livedMs;
    const count = takeover.ended(cause, nowMs);
    nowMs += 500;
    if (failed === true) takeover.attemptFailed();
    return count;
  });
  return { takeover, taken };
}
const times = (count: number, livedMs: number, more: { cause?: CloseCause } = {}) =>
  Array.from({ length: count }, () => ({ livedMs, ...more }));

test("the fourth young connection closed without a word is one too many, and counts for all four", () => {
  const { takeover, taken } = fight(times(6, 5_000));
  expect(taken).toEqual([0, 0, 0, 4, 1, 1]);
  expect(takeover.fighting).toBe(true);
});

test.each([
  ["old connections", times(10, takeoverMarks.youngMs)],
  ["time-outs", times(10, 5_000, { cause: byPeer("ETIMEDOUT") })],
  [
    "connections this side gave up",
    times(10, 5_000, { cause: { by: "session", code: "mqtt.ping_timeout", reason: "" } }),
  ],
  [
    "failed attempts in between",
    times(10, 5_000).map((life, i) => ({ ...life, failed: i % 3 === 2 })),
  ],
])("%s are no takeover", (_name, lives) => {
  expect(new Set(fight(lives).taken)).toEqual(new Set([0]));
});

test.each(["ECONNRESET", "transport.reset"])("a reset (%s) is as wordless as an end", (code) => {
  expect(fight(times(4, 5_000, { cause: byPeer(code) })).taken.at(-1)).toBe(4);
});

test("takeovers spread over hours are none", () => {
  const takeover = new Takeover();
  for (let i = 0; i < 20; i++) {
    const nowMs = i * (takeoverMarks.withinMs / 2);
    takeover.connected(nowMs);
    expect(takeover.ended(wordless, nowMs + 1_000)).toBe(0);
  }
});

test("once it is known, a connection has to last five minutes to end it", () => {
  const { takeover } = fight([...times(4, 5_000), { livedMs: takeoverMarks.peaceMs - 1 }]);
  expect(takeover.fighting).toBe(true);
  const peace = fight([...times(4, 5_000), { livedMs: takeoverMarks.peaceMs }]);
  expect(peace.takeover.fighting).toBe(false);
  expect(peace.takeover.peaceAtMs).toBe(Infinity);
});

test.each([
  [30_000, undefined],
  [-59_999, undefined],
  [60_000, "about 1 min behind the hub's"],
  [-(2 * 3_600_000 + 3 * 60_000 + 59_000), "about 2 h 3 min ahead of the hub's"],
  [365 * 86_400_000 + 3 * 3_600_000 + 59_000, "about 365 d 3 h behind the hub's"],
])("a hub that is %i ms ahead: %s", (aheadMs, words) => {
  const skew = new ClockSkew();
  skew.now(1_000_000_000_000 + aheadMs, 1_000_000_000_000, "a test");
  if (words === undefined) expect(skew.words).toBeUndefined();
  else expect(skew.words).toBe(`the device's clock is ${words}, by a test`);
});

test("a time in the hub's past shows only that the device is behind, and never takes back what is known", () => {
  const skew = new ClockSkew();
  skew.past(1_000, 500_000, "an old message");
  expect(skew.hubAheadMs).toBeUndefined();
  skew.past(900_000, 500_000, "a newer one");
  expect(skew.hubAheadMs).toBe(400_000);
  skew.past(700_000, 500_000, "an old message");
  expect(skew.hubAheadMs).toBe(400_000);
  skew.now(NaN, 0, "no date");
  expect(skew.hubAheadMs).toBe(400_000);
  skew.forget();
  expect(skew.words).toBeUndefined();
});

/** A vigil on a clock that may be late, as after sleep on Windows and macOS. */
class Watched {
  readonly clock = new VirtualClock();
  readonly heard: string[] = [];
  lateMs = 0;
  network: string | undefined;
  readonly vigil: Vigil;

  constructor() {
    const { clock } = this;
    const late = {
      wallMs: () => clock.wallMs() + this.lateMs,
      nowMs: () => clock.nowMs() + this.lateMs,
      at: (atMs: number, callback: () => void) => clock.at(atMs, callback),
      endOfTurn: (callback: () => void) => clock.endOfTurn(callback),
    };
    const settings = {
      clock: late,
      networkSignature: () => this.network ?? "",
    } as unknown as Settings;
    this.vigil = new Vigil(settings, new Agenda(late), {
      lostTime: (ms) => this.heard.push(`lost ${ms}`),
      setBack: (ms) => this.heard.push(`back ${ms}`),
      networkChanged: () => this.heard.push(`network ${this.network}`),
    });
  }
}

test("a timer that fires an hour late tells of sleep, once", async () => {
  const world = new Watched();
  world.vigil.watch("connected", 0);
  await world.clock.advance(14_000);
  world.lateMs = 3_600_000;
  await world.clock.advance(1_000);
  expect(world.heard).toEqual(["lost 3600000"]);
  await world.clock.advance(600_000);
  expect(world.heard).toHaveLength(1);
});

test.each([
  [4_999, []],
  [-4_999, []],
  [5_001, ["lost 5001"]],
  [-5_001, ["back 5001"]],
])("the wall clock jumps by %i ms: %j", async (byMs, heard) => {
  const world = new Watched();
  world.vigil.watch("connected", 0);
  await world.clock.advance(20_000);
  world.clock.jumpWall(byMs);
  await world.clock.advance(60_000);
  expect(world.heard).toEqual(heard);
});

test("what is not watched costs nothing", async () => {
  const world = new Watched();
  world.vigil.watch("waiting", 0);
  world.vigil.watch(undefined, 0);
  await world.clock.advance(60_000);
  expect(world.clock.nextMs).toBe(Infinity);
  expect(world.vigil.deadlineMs).toBe(Infinity);
});

test("a network that goes away is no news, one that comes is", async () => {
  const world = new Watched();
  world.network = "eth0 192.0.2.1";
  world.vigil.watch("waiting", 0);
  await world.clock.advance(10_000);
  world.network = undefined;
  await world.clock.advance(10_000);
  world.network = "eth0 192.0.2.1";
  await world.clock.advance(10_000);
  expect(world.heard).toEqual(["network eth0 192.0.2.1"]);
});

test("this computer's network has a name that stays the same", () => {
  expect(systemNetwork()).toBe(systemNetwork());
  expect(systemNetwork()).not.toContain("127.0.0.1");
});

test("reconnectDelay is another name for two fields of retry", () => {
  expect(retryPolicy(undefined, { minMs: 5, maxMs: 50 })).toEqual(
    retryPolicy({ minMs: 5, maxMs: 50 }),
  );
  expect(retryPolicy()).toEqual({
    minMs: 1_000,
    maxMs: 30_000,
    slowMaxMs: 120_000,
    stableMs: 60_000,
    spreadMs: 10_000,
    budgetMs: Infinity,
    attemptsMax: Infinity,
    refusalsMax: 1_000,
  });
});

test.each([
  [{ minMs: 0 }, "retry.minMs"],
  [{ minMs: 100, maxMs: 99 }, "retry.maxMs"],
  [{ slowMaxMs: 10 }, "retry.slowMaxMs"],
  [{ stableMs: -1 }, "retry.stableMs"],
  [{ spreadMs: -1 }, "retry.spreadMs"],
  [{ budgetMs: 0 }, "retry.budgetMs"],
  [{ attemptsMax: 1.5 }, "retry.attemptsMax"],
  [{ refusalsMax: NaN }, "retry.refusalsMax"],
  [{ shouldRetry: 3 }, "retry.shouldRetry"],
  [{ attempts: 3 }, "retry.attempts"],
])("retry: %j is refused by name", (retry, name) => {
  expect(() => retryPolicy(retry as object)).toThrow(name);
  expect(() => retryPolicy({ minMs: 1 }, { maxMs: 5 })).toThrow(IotError);
});

test("whatever the fields, what comes out keeps its order: minMs, maxMs, slowMaxMs", () => {
  const field = fc.option(fc.integer({ min: 1, max: 3_600_000 }), { nil: undefined });
  fc.assert(
    fc.property(field, field, (minMs, maxMs) => {
      const given = {
        ...(minMs === undefined ? {} : { minMs }),
        ...(maxMs === undefined ? {} : { maxMs }),
      };
      fc.pre((minMs ?? 1_000) <= (maxMs ?? Infinity));
      const policy = retryPolicy(given);
      expect(policy.minMs).toBeLessThanOrEqual(policy.maxMs);
      expect(policy.maxMs).toBeLessThanOrEqual(policy.slowMaxMs);
    }),
  );
});
