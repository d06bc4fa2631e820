import type { LogHealth, LogOptions } from "@hubwire/log";
import type { Fault, SimulatedDisk } from "@hubwire/testkit";
import { describe, expect, test } from "vitest";

import { ManualTimers } from "./support/manual-timers.ts";
import { append, commit, contents, emptyDisk, fill, openLog } from "./support/simulated-log.ts";
import { turns, until } from "./support/turns.ts";

/** A log with its health reports, its losses and its timers in the test's hands. */
async function watched(disk: SimulatedDisk, options: Partial<LogOptions> = {}) {
  const timers = new ManualTimers();
  const health: (string | true)[] = [];
  const log = await openLog(disk, {
    schedule: timers.schedule,
    onHealth: (report: LogHealth) => health.push(report.ok || report.error.code),
    ...options,
  });
  await until(() => disk.last?.kind === "syncDirectory", "the spare segment");
  const lost: [number, number, string][] = [];
  log.onFailure((first, last, error) => lost.push([first, last, error.code]));
  return { log, timers, health, lost };
}

const failures: [string, Fault][] = [
  ["a write", { operation: "write", code: "EIO" }],
  ["a sync", { operation: "datasync", code: "EIO" }],
];

describe.each(failures)("after %s failed", (_, fault) => {
  test("everything pending is reported lost, nothing is acknowledged, the log is not healthy", async () => {
    const disk = emptyDisk();
    const { log, health, lost } = await watched(disk);
    const durable: number[] = [];
    log.onCommit((ordinal) => durable.push(ordinal));
    await commit(log, "durable");
    disk.fail(fault);
    append(log, "lost");
    append(log, "lost", 1);
    await until(() => disk.last?.kind === "write", "the write");
    append(log, "pending and lost");
    await expect(log.flush()).rejects.toMatchObject({ code: "log.io", retryable: true });
    expect({ durable, lost, health, healthy: log.healthy }).toEqual({
      durable: [1],
      lost: [[2, 4, "log.io"]],
      health: ["log.io"],
      healthy: false,
    });
    expect(() => append(log, "x")).toThrow(expect.objectContaining({ code: "log.unhealthy" }));
    await expect(log.flush()).rejects.toMatchObject({ code: "log.io" });
    expect(await contents(log)).toEqual(["durable"]);
  });

  test("it reopens by itself, and the numbers of the lost records go to the next ones", async () => {
    const disk = emptyDisk();
    const { log, timers, health } = await watched(disk);
    await commit(log, "durable");
    disk.fail(fault);
    await expect(commit(log, "lost, and longer than what follows")).rejects.toThrow();
    timers.advance(timers.nextDelayMs ?? 0);
    await until(() => log.healthy, "health");
    expect(health).toEqual(["log.io", true]);
    expect(append(log, "next")).toBe(3);
    await log.flush();
    expect(await contents(log)).toEqual(["durable", "next"]);
    disk.crash("all");
    await using again = await openLog(disk);
    expect(await contents(again)).toEqual(["durable", "next"]);
  });

  test("a lost record does not come back once the log is healthy, whatever the disk kept", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const disk = emptyDisk();
      const { log, timers } = await watched(disk);
      await commit(log, "durable");
      disk.fail(fault);
      await expect(commit(log, "lost")).rejects.toThrow();
      timers.advance(timers.nextDelayMs ?? 0);
      await until(() => log.healthy, "health");
      disk.crash(seed % 2 === 0 ? "random" : "all", seed);
      await using again = await openLog(disk);
      expect(await contents(again)).toEqual(["durable"]);
    }
  });

  test("what is lost next time is only what was accepted since", async () => {
    const disk = emptyDisk();
    const { log, timers, lost } = await watched(disk);
    for (let round = 0; round < 2; round++) {
      disk.fail(fault);
      await expect(commit(log, "lost")).rejects.toThrow();
      timers.advance(timers.nextDelayMs ?? 0);
      await until(() => log.healthy, "health");
    }
    expect(lost.map(([first, last]) => [first, last])).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  test("attempts to reopen come at growing intervals, up to 5 s, until one succeeds", async () => {
    const disk = emptyDisk();
    const { log, timers, health } = await watched(disk);
    disk.fail({ ...fault, times: 9 });
    await expect(commit(log, "lost")).rejects.toThrow();
    const delays: number[] = [];
    while (!log.healthy) {
      const delayMs = timers.nextDelayMs;
      if (delayMs !== undefined) {
        delays.push(delayMs);
        timers.advance(delayMs);
      }
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      await turns(5);
    }
    expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
    expect(health).toEqual(["log.io", true]);
  });

  test("close ends the attempts", async () => {
    const disk = emptyDisk();
    const { log, timers } = await watched(disk);
    disk.fail({ ...fault, times: 3 });
    await expect(commit(log, "lost")).rejects.toThrow();
    timers.advance(100);
    await log.close();
    expect(timers.nextDelayMs).toBe(undefined);
  });
});

describe("a full disk", () => {
  test("is reported when the next segment is needed, and heals without a restart", async () => {
    const disk = emptyDisk();
    const { log, timers, health } = await watched(disk);
    const all = await fill(log, 3);
    // Prepared segments are allocated: appending goes on until the next one cannot be made.
    disk.capacityBytes = 4_096 + 8_192 + 1;
    let appended = 3;
    const more = async (): Promise<void> => {
      for (; appended < 100; appended++) {
        const content = `${appended}:`.padEnd(500, "x");
        // oxlint-disable-next-line no-await-in-loop -- a batch each
        await commit(log, content);
        all.push(content);
      }
    };
    await expect(more()).rejects.toMatchObject({ code: "log.disk_full", retryable: true });
    expect(appended).toBeGreaterThan(20);
    expect(log.stats().backgroundError).toMatchObject({ code: "log.disk_full" });
    timers.advance(100);
    await turns(20);
    expect([log.healthy, health]).toEqual([false, ["log.disk_full"]]);
    disk.capacityBytes = Infinity;
    timers.advance(200);
    await until(() => log.healthy, "health");
    expect(log.stats().backgroundError).toBe(undefined);
    await more();
    expect(health).toEqual(["log.disk_full", true]);
    expect(await contents(log)).toEqual(all);
  });

  test("lets what is there be read", async () => {
    const disk = emptyDisk();
    const log = await openLog(disk);
    const all = await fill(log, 5);
    await log.close();
    disk.capacityBytes = 1;
    await using again = await openLog(disk);
    expect(await contents(again)).toEqual(all);
    await commit(again, "and appending go on while there is room");
  });

  test("keeps a log from being created, by name, and leaves nothing that would be in the way", async () => {
    const disk = emptyDisk();
    disk.capacityBytes = 2_000;
    await expect(openLog(disk)).rejects.toMatchObject({ code: "log.disk_full" });
    disk.capacityBytes = Infinity;
    await using log = await openLog(disk);
    await commit(log, "x");
  });
});

describe("a read-only disk", () => {
  test("keeps the log from opening, by name", async () => {
    const disk = emptyDisk();
    await (await openLog(disk)).close();
    disk.readOnly = true;
    await expect(openLog(disk)).rejects.toMatchObject({ code: "log.read_only" });
  });

  test("that it became while the log was open is reported, and heals", async () => {
    const disk = emptyDisk();
    const { log, timers, health } = await watched(disk);
    disk.readOnly = true;
    await expect(commit(log, "x")).rejects.toMatchObject({ code: "log.read_only" });
    disk.readOnly = false;
    timers.advance(100);
    await until(() => log.healthy, "health");
    await commit(log, "y");
    expect([health, await contents(log)]).toEqual([["log.read_only", true], ["y"]]);
  });
});

test("a segment whose opening failed is opened again, at the place the log has reached by then", async () => {
  const disk = emptyDisk();
  const { log, timers } = await watched(disk);
  await fill(log, 6);
  // The opening frame of the next segment is written, and its sync fails.
  disk.fail({ operation: "datasync", code: "EIO", path: "0000000002.seg" });
  await expect(commit(log, "x".repeat(3_000))).rejects.toMatchObject({ code: "log.io" });
  timers.advance(100);
  await until(() => log.healthy, "health");
  // Small enough for the first segment: it grows past the place the failed opening named.
  await commit(log, "small");
  await commit(log, "x".repeat(3_000));
  expect(log.stats().segments).toBe(2);
  disk.crash("all");
  await using again = await openLog(disk);
  expect((await contents(again)).slice(6)).toEqual(["small", "x".repeat(3_000)]);
});

test("an opening that could not be undone before the process died is undone by the next one", async () => {
  for (let seed = 0; seed < 40; seed++) {
    const disk = emptyDisk();
    const { log, timers } = await watched(disk);
    await fill(log, 6);
    // The opening frame may have reached the disk; the zeros over it did not, though the system shows them.
    disk.fail({ operation: "datasync", code: "EIO", path: "0000000002.seg", times: 2 });
    await expect(commit(log, "x".repeat(3_000))).rejects.toMatchObject({ code: "log.io" });
    timers.advance(100);
    await turns(20);
    disk.kill();
    await commit(await openLog(disk), "small");
    disk.crash("random", seed);
    await using again = await openLog(disk);
    expect((await contents(again)).slice(6), `seed ${seed}`).toEqual(["small"]);
  }
});
