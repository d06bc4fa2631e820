import { Log } from "@hubwire/log";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { DeviceClient } from "@hubwire/device";
import { Lane } from "../src/telemetry/lane.ts";
import { directory, OutboxWorld } from "./support/outbox-world.ts";
import { Outcome } from "./support/world.ts";

const segmentBytes = 4_096;
const noNetwork = (): Promise<void> => Promise.reject(new Error("no network"));

afterEach(() => vi.restoreAllMocks());

const numbered = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => `message ${from + i}`.padEnd(100, "."));

/** Each in a commit of its own. */
async function enqueueAll(
  world: OutboxWorld,
  client: DeviceClient,
  texts: string[],
): Promise<void> {
  for (const text of texts) {
    const outcome = new Outcome(client.enqueue(text));
    // oxlint-disable-next-line no-await-in-loop -- one commit after the other
    await world.until(() => outcome.isSettled);
    expect(outcome.code).toBe("value");
  }
}

async function goOnline(world: OutboxWorld, client: DeviceClient): Promise<void> {
  delete world.hub.script.onOpen;
  await world.until(() => client.stats().queueDepth === 0);
}

test("a full disk refuses by name before anything is accepted, and heals by itself", async () => {
  const world = new OutboxWorld({ onOpen: noNetwork });
  const client = await world.start({}, { segmentBytes });
  world.disk.capacityBytes = 20_000;
  const texts = numbered(400);
  const outcomes = texts.map((text) => new Outcome(client.enqueue(text)));
  await world.until(() => outcomes.every(({ isSettled }) => isSettled));
  const codes = new Set(outcomes.map(({ code }) => code));
  expect(codes).toEqual(new Set(["value", "device.outbox_disk_full"]));
  await world.clock.advance(3_000);
  // Whoever calls while it is full is told so, too.
  const more = texts.filter((_, i) => outcomes[i]?.code === "value");
  for (const text of numbered(60, 400)) {
    const outcome = new Outcome(client.enqueue(text));
    // oxlint-disable-next-line no-await-in-loop -- one commit after the other
    await world.until(() => outcome.isSettled);
    if (outcome.code === "value") more.push(text);
    else expect(outcome.code).toBe("device.outbox_disk_full");
  }
  expect(world.errors.map(({ code }) => code)).toContain("device.outbox_disk_full");
  world.disk.capacityBytes = Infinity;
  await world.clock.advance(10_000);
  const healed = new Outcome(client.enqueue("healed"));
  await world.until(() => healed.isSettled);
  expect(healed.code).toBe("value");
  await goOnline(world, client);
  expect(world.hub.texts).toEqual([...more, "healed"]);
});

test("a disk that is full from the beginning is told by connect()", async () => {
  const world = new OutboxWorld({}, { capacityBytes: 1_000 });
  const opening = world.starting();
  await world.until(() => opening.isSettled);
  expect(opening.error).toMatchObject({ code: "device.outbox_disk_full", retryable: true });
});

test("a disk that cannot be written is told by connect()", async () => {
  const world = new OutboxWorld();
  world.disk.readOnly = true;
  const opening = world.starting();
  await world.until(() => opening.isSettled);
  expect(opening.code).toBe("device.outbox_unavailable");
});

describe("what a newer release wrote is refused by name", () => {
  test("a newer format of the log", async () => {
    const world = new OutboxWorld();
    await world.settle((await world.start()).close());
    const path = world.disk.paths.find((name) => name.endsWith(".seg")) ?? "";
    const bytes = world.disk.contents(path);
    bytes[4] = 9;
    world.disk.place(path, bytes);
    const opening = world.starting();
    await world.until(() => opening.isSettled);
    expect(opening.code).toBe("device.outbox_format_newer");
  });

  test("a newer format of the outbox", async () => {
    const world = new OutboxWorld();
    const fileSystem = world.disk.forProcess();
    const opened = new Outcome(
      Log.open({
        directory: `${directory}/log-000001`,
        partitions: 4,
        segmentBytes: 1_048_576,
        fileSystem,
        endOfTurn: (callback) => world.clock.endOfTurn(callback),
      }),
    );
    await world.until(() => opened.isSettled);
    opened.value.append(3, Uint8Array.of(2, 3), new Uint8Array(0), 0, 0);
    await world.settle(opened.value.close());
    const opening = world.starting();
    await world.until(() => opening.isSettled);
    expect(opening.code).toBe("device.outbox_format_newer");
    expect(opening.error.message).toContain("format 2");
  });

  test("another log in the directory is not taken for an outbox", async () => {
    const world = new OutboxWorld();
    const fileSystem = world.disk.forProcess();
    const opened = new Outcome(
      Log.open({
        directory: `${directory}/log-000001`,
        partitions: 1,
        fileSystem,
        endOfTurn: (callback) => world.clock.endOfTurn(callback),
      }),
    );
    await world.until(() => opened.isSettled);
    await world.settle(opened.value.close());
    const opening = world.starting();
    await world.until(() => opening.isSettled);
    expect(opening.code).toBe("argument.invalid");
  });
});

/** A backlog on disk, and the files it is in. */
async function backlog(count: number): Promise<{ world: OutboxWorld; texts: string[] }> {
  const world = new OutboxWorld({ onOpen: noNetwork });
  const client = await world.start({}, { segmentBytes });
  const texts = numbered(count);
  await enqueueAll(world, client, texts);
  await world.settle(client.close());
  return { world, texts };
}

const segments = (world: OutboxWorld): string[] =>
  world.disk.paths.filter((path) => path.endsWith(".seg"));

/** Turns bytes around in the middle of a file. */
function damage(world: OutboxWorld, path: string): void {
  const bytes = world.disk.contents(path);
  bytes.fill(0xff, 1_000, 1_400);
  world.disk.place(path, bytes);
}

describe("damage in the middle of the backlog", () => {
  test("found at the start: it is told, what can be read is sent, and the next start finds nothing wrong", async () => {
    const { world, texts } = await backlog(100);
    expect(segments(world).length).toBeGreaterThan(3);
    damage(world, segments(world)[1] ?? "");
    delete world.hub.script.onOpen;
    const client = await world.start({}, { segmentBytes });
    await world.until(() => client.stats().queueDepth === 0);
    expect(world.errors.map(({ code }) => code)).toEqual(["device.outbox_corrupt"]);
    const arrived = world.hub.texts;
    expect(arrived.length).toBeGreaterThan(90);
    expect(arrived.length).toBeLessThan(100);
    expect(arrived).toEqual(texts.filter((text) => arrived.includes(text)));
    expect(world.errors[0]?.message).toContain(`${100 - arrived.length} messages`);
    await world.settle(client.sendTelemetry("after"));
    await world.settle(client.close());
    expect(segments(world).every((path) => path.includes("log-000002"))).toBe(true);
    await world.start({}, { segmentBytes });
    expect(world.errors).toHaveLength(1);
  });

  test("a crash at any moment of the repair repeats it", async () => {
    for (let at = 1, halted = true; halted; at += 3) {
      // oxlint-disable-next-line no-await-in-loop -- one crash after the other
      const { world } = await backlog(40);
      damage(world, segments(world)[1] ?? "");
      delete world.hub.script.onOpen;
      world.disk.haltAt(world.disk.operations + at);
      const opening = world.starting({ waitForConnection: false }, { segmentBytes });
      // oxlint-disable-next-line no-await-in-loop -- one crash after the other
      await world.until(() => opening.isSettled || world.disk.isHalted);
      halted = world.disk.isHalted;
      world.kill("random", at);
      // oxlint-disable-next-line no-await-in-loop -- one crash after the other
      const client = await world.start({}, { segmentBytes });
      // oxlint-disable-next-line no-await-in-loop -- one crash after the other
      await world.until(() => client.stats().queueDepth === 0);
      expect(new Set(world.hub.texts).size, `operation ${at}`).toBeGreaterThan(30);
    }
  });

  test("found while reading: what is behind it is sent all the same", async () => {
    const { world, texts } = await backlog(100);
    world.hub.script.onOpen = noNetwork;
    const client = await world.start({}, { segmentBytes });
    damage(world, segments(world)[1] ?? "");
    await goOnline(world, client);
    const arrived = world.hub.texts;
    expect(world.errors.map(({ code }) => code)).toContain("device.outbox_corrupt");
    expect(arrived.length).toBeGreaterThan(60);
    expect(arrived).toEqual(texts.filter((text) => arrived.includes(text)));
    expect(client.stats().dropped.corrupt).toBe(100 - arrived.length);
  });
});

test("a backlog larger than memory is read piece by piece, and the disk is given back", async () => {
  const count = 100_000;
  let mostMessages = 0;
  let mostBytes = 0;
  // oxlint-disable-next-line typescript/unbound-method -- called with its own receiver
  const { push } = Lane.prototype;
  vi.spyOn(Lane.prototype, "push").mockImplementation(function (this: Lane, message) {
    push.call(this, message);
    mostMessages = Math.max(mostMessages, this.waiting.length);
    mostBytes = Math.max(mostBytes, this.waitingBytes);
  });
  const world = new OutboxWorld({ onOpen: noNetwork });
  const options = { drainRate: 1_000_000, maxInflight: 1_000 };
  const client = await world.start(options);
  for (let done = 0; done < count; done += 2_000) {
    const last = new Outcome(
      Promise.all(Array.from({ length: 2_000 }, (_, i) => client.enqueue(`${done + i}`))),
    );
    // oxlint-disable-next-line no-await-in-loop -- one commit after the other
    await world.until(() => last.isSettled);
    expect(last.code).toBe("value");
  }
  expect(client.stats().queueDepth).toBe(count);
  const fullBytes = diskBytes(world);
  await goOnline(world, client);
  expect(world.hub.texts).toEqual(Array.from({ length: count }, (_, i) => String(i)));
  expect(mostMessages).toBeLessThanOrEqual(4_096);
  expect(mostBytes).toBeLessThan(5 * 1024 * 1024);
  await world.clock.advance(2_000);
  expect(client.stats().queueBytes).toBe(0);
  expect(diskBytes(world)).toBeLessThan(fullBytes);
});

test("the disk does not grow while messages come and go", async () => {
  const world = new OutboxWorld();
  const client = await world.start({}, { segmentBytes });
  const sizes: number[] = [];
  for (let round = 0; round < 40; round++) {
    const all = numbered(200, round).map((text) => client.sendTelemetry(text));
    // oxlint-disable-next-line no-await-in-loop -- one round after the other
    await world.settle(Promise.all(all));
    // oxlint-disable-next-line no-await-in-loop -- one round after the other
    await world.clock.advance(1_100);
    sizes.push(diskBytes(world));
  }
  expect(Math.max(...sizes)).toBeLessThan(40 * segmentBytes);
});

function diskBytes(world: OutboxWorld): number {
  return world.disk.paths.reduce((sum, path) => sum + world.disk.contents(path).length, 0);
}
