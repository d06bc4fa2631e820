import fc from "fast-check";
import { expect, test } from "vitest";
import { VirtualClock } from "@hubwire/transport";

test("timers fire in order of time, equal times in order of asking, whatever the order they were made in", async () => {
  const anyTimes = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(anyTimes, async (times) => {
      const clock = new VirtualClock();
      const fired: { atMs: number; order: number }[] = [];
      times.forEach((atMs, order) => clock.at(atMs, () => fired.push({ atMs, order })));
      await clock.advance(20);
      const expected = times.map((atMs, order) => ({ atMs, order }));
      expected.sort((one, other) => one.atMs - other.atMs || one.order - other.order);
      expect(fired).toEqual(expected);
    }),
    { numRuns: 100 },
  );
});

test("cancelled timers do not fire, and the others are not disturbed", async () => {
  const anyPlan = fc.array(fc.record({ atMs: fc.nat(30), cancelled: fc.boolean() }), {
    maxLength: 60,
  });
  await fc.assert(
    fc.asyncProperty(anyPlan, async (plan) => {
      const clock = new VirtualClock();
      const fired: number[] = [];
      const timers = plan.map(({ atMs }, order) => clock.at(atMs, () => fired.push(order)));
      plan.forEach(({ cancelled }, order) => cancelled && timers[order]?.cancel());
      await clock.advance(30);
      const kept = plan.flatMap(({ cancelled }, order) => (cancelled ? [] : [order]));
      expect(fired.toSorted((one, other) => one - other)).toEqual(kept);
      expect(clock.nextMs).toBe(Infinity);
    }),
    { numRuns: 100 },
  );
});

test("a callback sees the time it asked for", async () => {
  const clock = new VirtualClock({ nowMs: 100, wallMs: 5_000 });
  const seen: number[] = [];
  clock.at(250, () => seen.push(clock.nowMs(), clock.wallMs()));
  await clock.advance(1_000);
  expect(seen).toEqual([250, 5_150]);
  expect(clock.nowMs()).toBe(1_100);
});

test("timers made on the way fire on the way, those in the past at once", async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  clock.at(10, () => {
    clock.at(5, () => seen.push(`late ${clock.nowMs()}`));
    clock.at(20, () => seen.push(`next ${clock.nowMs()}`));
    clock.at(21, () => seen.push("beyond"));
  });
  await clock.advance(20);
  expect(seen).toEqual(["late 10", "next 20"]);
});

test("Infinity never comes", async () => {
  const clock = new VirtualClock();
  clock.at(Infinity, () => expect.unreachable());
  expect(clock.nextMs).toBe(Infinity);
  await clock.advance(1e15);
});

test("between two timers all promises and the end of the turn get their say", async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const follow = async (name: string): Promise<void> => {
    for (let step = 1; step <= 3; step++) {
      await Promise.resolve();
      seen.push(`${name} promise ${step}`);
    }
  };
  clock.at(1, () => {
    clock.endOfTurn(() => seen.push("end of turn"));
    void follow("first");
  });
  clock.at(1, () => seen.push("second timer"));
  await clock.advance(1);
  const promises = ["first promise 1", "first promise 2", "first promise 3"];
  expect(seen).toEqual([...promises, "end of turn", "second timer"]);
});

test("what is asked for at the end of a turn waits for the next turn", async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  clock.endOfTurn(() => {
    clock.endOfTurn(() => seen.push("next turn"));
    queueMicrotask(() => seen.push("promise"));
  });
  clock.endOfTurn(() => seen.push("same turn"));
  await clock.settle();
  expect(seen).toEqual(["same turn", "promise", "next turn"]);
});

test("the wall clock jumps either way, deadlines do not notice", async () => {
  const clock = new VirtualClock({ wallMs: 1_000_000 });
  let fired = false;
  clock.at(50, () => (fired = true));
  clock.jumpWall(-400_000);
  expect([clock.wallMs(), clock.nowMs()]).toEqual([600_000, 0]);
  clock.jumpWall(900_000);
  expect(clock.wallMs()).toBe(1_500_000);
  await clock.advance(49);
  expect(fired).toBe(false);
  await clock.advance(1);
  expect(fired).toBe(true);
});

test("sleep resolves when its time has come, and code goes on from there", async () => {
  const clock = new VirtualClock();
  const seen: number[] = [];
  const walk = async (): Promise<void> => {
    for (const ms of [5, 10, 20]) {
      await clock.sleep(ms);
      seen.push(clock.nowMs());
    }
  };
  void walk();
  await clock.advance(100);
  expect(seen).toEqual([5, 15, 35]);
});

test("runUntil stops at the moment the condition holds", async () => {
  const clock = new VirtualClock();
  let count = 0;
  const tick = (): void => {
    count++;
    clock.at(clock.nowMs() + 10, tick);
  };
  clock.at(10, tick);
  await clock.runUntil(() => count === 7);
  expect(clock.nowMs()).toBe(70);
});

test("runUntil says why it gave up", async () => {
  const clock = new VirtualClock();
  const never = (): boolean => false;
  await expect(clock.runUntil(never)).rejects.toThrow(/nothing is left to happen/);
  const tick = (): void => void clock.at(clock.nowMs() + 10, tick);
  tick();
  await expect(clock.runUntil(never, { withinMs: 95 })).rejects.toThrow(/95 ms passed/);
  await expect(clock.runUntil(never, { eventsMax: 5 })).rejects.toThrow(/5 events/);
});

test("a callback that throws rejects the advance that ran it, and time can go on", async () => {
  const clock = new VirtualClock();
  let later = false;
  clock.at(5, () => {
    throw new Error("planted");
  });
  clock.at(6, () => (later = true));
  await expect(clock.advance(10)).rejects.toThrow("planted");
  await clock.advance(10);
  expect(later).toBe(true);
});

test("time that stands still is noticed", async () => {
  const clock = new VirtualClock();
  const again = (): void => clock.endOfTurn(again);
  again();
  await expect(clock.settle()).rejects.toThrow(/time stands still/);
});

test("two hands on one clock are a mistake in the test", async () => {
  const clock = new VirtualClock();
  const first = clock.advance(10);
  await expect(clock.advance(10)).rejects.toThrow(/already being moved/);
  await first;
});
