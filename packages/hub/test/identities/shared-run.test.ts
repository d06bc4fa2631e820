import { expect, test } from "vitest";
import { shareRuns } from "../../src/domain/identities/shared-run.ts";

/** Runs that end when they are told to, with their number. */
function createRuns() {
  const ends: ((outcome: "ok" | "failed") => void)[] = [];
  const ask = shareRuns(
    () =>
      new Promise<number>((resolve, reject) => {
        const number = ends.length + 1;
        ends.push((outcome) =>
          outcome === "ok" ? resolve(number) : reject(new Error(`run ${number}`)),
        );
      }),
  );
  return { ask, ends };
}
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("whoever asks during a run gets the next one, and only one is needed for all of them", async () => {
  const { ask, ends } = createRuns();
  const first = ask();
  const later = [ask(), ask(), ask()];
  expect(ends).toHaveLength(1);
  ends[0]?.("ok");
  expect(await first).toBe(1);
  await settle();
  expect(ends).toHaveLength(2);
  const third = ask();
  ends[1]?.("ok");
  expect(await Promise.all(later)).toEqual([2, 2, 2]);
  await settle();
  ends[2]?.("ok");
  expect(await third).toBe(3);
  const fourth = ask();
  ends[3]?.("ok");
  expect(await fourth).toBe(4);
});

test("a run that fails fails for those who waited for it, and the next one is made", async () => {
  const { ask, ends } = createRuns();
  const first = ask();
  const second = ask();
  ends[0]?.("failed");
  await expect(first).rejects.toThrow("run 1");
  await settle();
  ends[1]?.("ok");
  expect(await second).toBe(2);
});
