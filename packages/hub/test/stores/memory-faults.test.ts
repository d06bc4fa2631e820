import { seededRandom } from "@hubwire/testkit";
import { VirtualClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import { createMemoryStores } from "../../src/stores/memory/index.ts";
import type { Fault, MemoryStoresOptions, StoreOperation } from "../../src/stores/memory/index.ts";

const everything = { recordsMax: 1_000_000, bytesMax: 1e9 };

/** Stores whose every operation takes some virtual milliseconds, and fails when told to. */
function slow(latencyMs: () => number, options: Partial<MemoryStoresOptions> = {}) {
  const clock = new VirtualClock();
  const control = { fault: (_operation: StoreOperation): Fault => undefined };
  const stores = createMemoryStores({
    clock,
    schedule: (complete) => void clock.at(clock.nowMs() + latencyMs(), complete),
    fault: (operation) => control.fault(operation),
    ...options,
  });
  return { clock, control, stores };
}

const outcomeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.catch((error: unknown) => (error as { code: string }).code);

test("operations complete when the schedule says, in the order of the calls", async () => {
  const random = seededRandom(7);
  const { clock, stores } = slow(() => 1 + random.int(49));
  const finished: number[] = [];
  for (let n = 0; n < 50; n++) {
    void stores.documents.put("twins", "d", n, "any").then(() => finished.push(n));
  }
  const read = stores.documents.get("twins", "d");
  await clock.settle();
  expect(finished).toEqual([]);
  await clock.advance(50);
  expect(finished).toEqual(finished.map((_, n) => n));
  expect((await read)?.value).toBe(49);
});

test("an operation takes the time its schedule gives it, whatever went before", async () => {
  const latencies = [1, 50];
  const { clock, stores } = slow(() => latencies.shift() ?? 1);
  const quick = stores.documents.put("twins", "quick", 1, "any");
  let isDone = false;
  void stores.documents.put("twins", "slow", 1, "any").then(() => (isDone = true));
  await clock.advance(49);
  expect(await quick).toMatchObject({ ok: true });
  expect(isDone).toBe(false);
  await clock.advance(1);
  expect(isDone).toBe(true);
});

test("a rejected operation did not happen; one whose answer was lost did", async () => {
  const { clock, control, stores } = slow(() => 1);
  const { documents } = stores;
  let fault: Fault = "reject";
  control.fault = ({ name }) => (name === "put" ? fault : undefined);
  const rejected = outcomeOf(documents.put("twins", "a", 1, "any"));
  await clock.advance(1);
  expect(await rejected).toBe("store.unavailable");
  fault = "applyThenReject";
  const lost = outcomeOf(documents.put("twins", "b", 1, "any"));
  await clock.advance(1);
  expect(await lost).toBe("store.unavailable");
  const reads = Promise.all([documents.get("twins", "a"), documents.get("twins", "b")]);
  await clock.advance(1);
  expect(await reads).toMatchObject([undefined, { value: 1 }]);
});

test("after a cut nothing pending happens or settles, and the image holds what had completed", async () => {
  const { clock, stores } = slow(() => 10);
  let settled = 0;
  void stores.documents.put("twins", "done", 1, "any");
  stores.telemetry.append(0, new Uint8Array(1), new Uint8Array(1), 0, 1);
  await clock.advance(10);
  const pending = [
    stores.documents.put("twins", "pending", 1, "any"),
    stores.c2d.enqueue(
      "q",
      { enqueuedAtMs: 1, expiresAtMs: 9, properties: {}, body: new Uint8Array(1) },
      50,
    ),
  ];
  for (const each of pending) void each.finally(() => settled++);
  stores.telemetry.onCommit(() => settled++);
  stores.telemetry.onFailure(() => settled++);
  stores.telemetry.append(0, new Uint8Array(1), new Uint8Array(1), 0, 1);
  stores.cut();
  void stores.documents.get("twins", "done").finally(() => settled++);
  await clock.advance(1_000);
  expect(settled).toBe(0);

  const { clock: later, stores: again } = slow(() => 0, { image: stores.image });
  const found = Promise.all([
    again.documents.get("twins", "done"),
    again.documents.get("twins", "pending"),
    again.c2d.count("q"),
  ]);
  await later.advance(1);
  expect(await found).toMatchObject([{ value: 1 }, undefined, 0]);
  expect(again.telemetry.partition(0).nextSequenceNumber).toBe(1);
  again.telemetry.append(0, new Uint8Array(2), new Uint8Array(1), 0, 1);
  await later.advance(1);
  const records = again.telemetry.read(0, "first", everything);
  await later.advance(1);
  expect(
    (await records).map(({ sequenceNumber, bytes }) => [sequenceNumber, bytes.length]),
  ).toEqual([
    [0, 2],
    [1, 3],
  ]);
});

test("after any series of lost and made commits the made ones are there, in order and without gaps", async () => {
  const random = seededRandom(11);
  const { clock, control, stores } = slow(() => 1);
  const { telemetry } = stores;
  let fault: Fault;
  control.fault = ({ name }) => (name === "commit" ? fault : undefined);
  const kept: number[] = [];
  for (let n = 0; n < 200; n++) {
    fault = random.chance(0.3) ? "reject" : undefined;
    telemetry.append(0, Uint8Array.of(n), new Uint8Array(0), 0, 0);
    telemetry.append(1, Uint8Array.of(n), new Uint8Array(0), 0, 0);
    await clock.advance(1);
    if (fault === undefined) kept.push(n);
    fault = undefined;
    await clock.advance(200);
  }
  for (const partition of [0, 1]) {
    const read = telemetry.read(partition, "first", everything);
    await clock.advance(1);
    const records = await read;
    expect(records.map(({ bytes }) => bytes[0])).toEqual(kept);
    expect(records.map(({ sequenceNumber }) => sequenceNumber)).toEqual(kept.map((_, n) => n));
  }
});

test("telemetry whose commit was made and whose answer was lost is reported lost and is there", async () => {
  const { clock, control, stores } = slow(() => 1);
  const { telemetry } = stores;
  control.fault = ({ name }) => (name === "commit" ? "applyThenReject" : undefined);
  const lost: [number, number][] = [];
  telemetry.onFailure((first, last) => lost.push([first, last]));
  const ordinals = [0, 1].map((partition) =>
    telemetry.append(partition, new Uint8Array(1), new Uint8Array(1), 0, 1),
  );
  await clock.advance(1);
  expect(lost).toEqual([[ordinals[0], ordinals[1]]]);
  expect(telemetry.healthy).toBe(true);
  expect(telemetry.partition(1).nextSequenceNumber).toBe(1);
});

test("old telemetry goes when there is too much of it, and readers find the rest under its old numbers", async () => {
  const clock = new VirtualClock();
  const stores = createMemoryStores({
    clock,
    partitions: 2,
    limits: { retainedBytesMax: 10_000, segmentBytes: 1_000 },
  });
  const { telemetry } = stores;
  const body = new Uint8Array(100);
  for (let n = 0; n < 1_000; n++) {
    body.fill(n % 251);
    telemetry.append(n % 2, body.subarray(0, 1), body, 0, 99);
    if (n % 10 === 9) await clock.settle();
  }
  const { firstSequenceNumber, nextSequenceNumber } = telemetry.partition(1);
  expect(nextSequenceNumber).toBe(500);
  expect(firstSequenceNumber).toBeGreaterThan(440);
  expect(firstSequenceNumber).toBeLessThanOrEqual(460);
  const records = await telemetry.read(1, { sequenceNumber: 3 }, everything);
  expect(records.map(({ sequenceNumber }) => sequenceNumber)).toEqual(
    Array.from({ length: 500 - firstSequenceNumber }, (_, n) => firstSequenceNumber + n),
  );
  for (const { sequenceNumber, bytes } of records) {
    const n = sequenceNumber * 2 + 1;
    expect([...new Set(bytes)]).toEqual([n % 251]);
  }
});

test("the bound on pending telemetry is kept, and the clock never runs backwards in the log", async () => {
  const clock = new VirtualClock();
  const stores = createMemoryStores({ clock, limits: { pendingBytesMax: 1_000 } });
  const { telemetry } = stores;
  const body = new Uint8Array(100);
  const none = new Uint8Array(0);
  for (let n = 0; n < 10; n++) telemetry.append(0, none, body, 0, 100);
  expect(() => telemetry.append(0, none, body, 0, 1)).toThrow(
    expect.objectContaining({ code: "store.unavailable" }) as Error,
  );
  await clock.settle();
  clock.jumpWall(-3_600_000);
  telemetry.append(0, none, body, 0, 100);
  await clock.settle();
  const times = (await telemetry.read(0, "first", everything)).map((each) => each.enqueuedTimeMs);
  expect(times).toHaveLength(11);
  expect(new Set(times).size).toBe(1);
});
