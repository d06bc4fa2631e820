import { Log } from "@hubwire/log";
import type { LogFileSystem } from "@hubwire/log";
import { crashModes, seededRandom, withoutDatasync, withoutDirectorySync } from "@hubwire/testkit";
import type { CrashMode } from "@hubwire/testkit";
import { afterEach, describe, expect, test, vi } from "vitest";
import { DurableOutbox } from "../src/outbox/durable-outbox.ts";
import { SettledRanges } from "../src/telemetry/settled-ranges.ts";
import { OutboxLives } from "./support/outbox-lives.ts";

const isLong = process.env["HUBWIRE_LONG"] === "1";
const firstSeed = Number(process.env["HUBWIRE_SEED"] ?? 1);
const seeds = isLong ? 5_000 : 40;
const workloads = isLong ? 20 : 1;
/** Every so many-th operation is crashed at. */
const stride = isLong ? 1 : 5;
const timeoutMs = isLong ? 7_200_000 : 60_000;

afterEach(() => vi.restoreAllMocks());

async function explained(what: string, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    throw new Error(`${what}: ${String(error)}`, { cause: error });
  }
}

async function live(
  seed: number,
  wrap?: (fileSystem: LogFileSystem) => LogFileSystem,
): Promise<void> {
  const random = seededRandom(seed);
  const lives = new OutboxLives(random, random.pick([0, 0, 0.05, 0.2]));
  for (let left = 1 + random.int(4); left > 0; left--) {
    const { disk } = lives.world;
    if (random.chance(0.8)) disk.haltAt(disk.operations + 1 + random.int(80));
    // oxlint-disable-next-line no-await-in-loop -- one life after the other
    if (await lives.start(wrap)) await lives.work(1 + random.int(40));
    lives.die(random.pick([...crashModes, "kill"] as const), random.int(1_000));
  }
  await lives.comeBack();
}

test(
  `${seeds} devices lose nothing they accepted over lives that end anywhere`,
  async () => {
    for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
      // oxlint-disable-next-line no-await-in-loop -- one device after the other
      await explained(`HUBWIRE_SEED=${seed}`, live(seed));
    }
  },
  timeoutMs,
);

test.each<CrashMode | "kill">([...crashModes, "kill"])(
  "a crash at every write, sync, create, rename and delete loses nothing accepted: %s",
  async (mode) => {
    const met = new Set<string>();
    for (let seed = 1; seed <= workloads; seed++) {
      for (let at = 1, halted = true; halted; at += stride) {
        const lives = new OutboxLives(seededRandom(seed));
        const { disk } = lives.world;
        disk.haltAt(at);
        // oxlint-disable-next-line no-await-in-loop -- one crash after the other
        if (await lives.start()) await lives.work(60);
        halted = disk.isHalted;
        if (halted) met.add(disk.last?.kind ?? "");
        lives.die(mode, at);
        // oxlint-disable-next-line no-await-in-loop -- one crash after the other
        await explained(`workload ${seed}, crash at operation ${at}`, lives.comeBack());
      }
    }
    expect([...met]).toEqual(expect.arrayContaining(["datasync", "write"]));
    if (isLong) {
      const kinds = ["create", "datasync", "mkdir", "rename", "syncDirectory", "unlink", "write"];
      expect([...met].toSorted()).toEqual(kinds);
    }
  },
  timeoutMs,
);

describe("an outbox with a planted bug is found out", () => {
  const found = async (
    wrap?: (fileSystem: LogFileSystem) => LogFileSystem,
  ): Promise<string | undefined> => {
    for (let seed = 1; seed <= 500; seed++) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- until it is found
        await live(seed, wrap);
      } catch (error) {
        return (error as Error).message;
      }
    }
    return undefined;
  };

  test("the cursor passes over a message that is not acknowledged", async () => {
    vi.spyOn(SettledRanges.prototype, "add").mockImplementation(function (this: SettledRanges, n) {
      this.before = Math.max(this.before, n + 1);
    });
    expect(await found()).toMatch(/never arrived/);
  });

  test("accepted before it is on disk", async () => {
    // oxlint-disable-next-line typescript/unbound-method -- called with its own receiver
    const { append } = DurableOutbox.prototype;
    vi.spyOn(DurableOutbox.prototype, "append").mockImplementation(function (
      this: DurableOutbox,
      message,
    ) {
      append.call(this, message);
      queueMicrotask(() => message.resolve({ messageId: message.messageId }));
    });
    expect(await found()).toMatch(/never arrived/);
  });

  test("the cursor passes over a number whose message is not committed yet", async () => {
    // oxlint-disable-next-line typescript/unbound-method -- called with its own receiver
    const { append } = DurableOutbox.prototype;
    vi.spyOn(DurableOutbox.prototype, "append").mockImplementation(function (
      this: DurableOutbox,
      message,
    ) {
      append.call(this, message);
      Object.defineProperty(message, "isCommitted", { get: () => true, set() {} });
    });
    expect(await found()).toMatch(/never arrived|never leave/);
  });

  test("files are deleted before the hub has their messages", async () => {
    // oxlint-disable-next-line typescript/unbound-method -- called with its own receiver
    const { trimBefore } = Log.prototype;
    vi.spyOn(Log.prototype, "trimBefore").mockImplementation(function (this: Log, before, p) {
      trimBefore.call(this, before + 40, p);
    });
    expect(await found()).toMatch(/never arrived/);
  });

  test.each([
    ["the fdatasync", withoutDatasync],
    ["the directory sync", withoutDirectorySync],
  ])("%s is left out", async (_, wrap) => {
    expect(await found(wrap)).toMatch(/never arrived|corrupt|damaged/);
  });
});
