import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "@hubwire/transport";

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setImmediate", "performance", "Date"],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

const clock = systemClock();
const dayMs = 86_400_000;

test("a timer fires at its time and not before", () => {
  const fired = vi.fn<() => void>();
  clock.at(clock.nowMs() + 1_000, fired);
  vi.advanceTimersByTime(999);
  expect(fired).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(fired).toHaveBeenCalledOnce();
});

test("a timer further away than setTimeout can count (24.8 days) waits all the same", () => {
  const fired = vi.fn<() => void>();
  clock.at(clock.nowMs() + 60 * dayMs, fired);
  vi.advanceTimersByTime(60 * dayMs - 1);
  expect(fired).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(fired).toHaveBeenCalledOnce();
});

test("a timer in the past fires soon, one at Infinity takes no timer at all", () => {
  const fired = vi.fn<() => void>();
  clock.at(clock.nowMs() - 5, fired);
  expect(fired).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(fired).toHaveBeenCalledOnce();
  clock.at(Infinity, fired);
  expect(vi.getTimerCount()).toBe(0);
});

test("a cancelled timer leaves nothing behind", () => {
  const timer = clock.at(clock.nowMs() + 60 * dayMs, () => expect.unreachable());
  vi.advanceTimersByTime(30 * dayMs);
  timer.cancel();
  expect(vi.getTimerCount()).toBe(0);
});

test("a setTimeout that fires early, as Node's may, does not make the timer early", () => {
  const fired = vi.fn<() => void>();
  const start = performance.now();
  clock.at(start + 10, fired);
  const now = vi.spyOn(performance, "now").mockReturnValue(start + 9.4);
  vi.advanceTimersByTime(10);
  expect(fired).not.toHaveBeenCalled();
  now.mockRestore();
  vi.advanceTimersByTime(1);
  expect(fired).toHaveBeenCalledOnce();
});

test("many ends of turn cost one immediate", () => {
  const fired = vi.fn<() => void>();
  for (let count = 0; count < 1_000; count++) clock.endOfTurn(fired);
  expect(vi.getTimerCount()).toBe(1);
  vi.runAllTimers();
  expect(fired).toHaveBeenCalledTimes(1_000);
});

test("an end of turn that throws does not take the others with it", () => {
  const fired = vi.fn<() => void>();
  clock.endOfTurn(fired);
  clock.endOfTurn(() => {
    throw new Error("planted");
  });
  clock.endOfTurn(fired);
  expect(() => vi.runAllTimers()).toThrow("planted");
  vi.runAllTimers();
  expect(fired).toHaveBeenCalledTimes(2);
});

test("all callers share one system clock", () => {
  expect(systemClock()).toBe(clock);
});
