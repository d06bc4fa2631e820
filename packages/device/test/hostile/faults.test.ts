import { expect, test } from "vitest";
import type { DeviceClient } from "@hubwire/device";
import { Outcome, World } from "../support/world.ts";
import { calls, callTimeoutMs } from "./calls.ts";
import { beginFault, endFault, faults } from "./faults.ts";
import { callNames, faultGroups } from "./outcomes.ts";
import type { CallName, FaultName } from "./outcomes.ts";

/** The longest wait at the slow pace, an attempt that was under way, and a window that has to be found dead first. */
const recoveryMs = 120_000 + 20_000 + 30_000;
const options = { connectTimeoutMs: callTimeoutMs, methods: { reboot: () => ({}) } };

/** One cell of the table: a call to a hub that misbehaves, then a hub that behaves again. */
async function cell(fault: FaultName, call: CallName): Promise<string> {
  const world = new World();
  const { clock } = world;
  if (call === "connect") {
    beginFault(world, fault);
    const opening = world.connecting(options);
    await clock.advance(callTimeoutMs);
    endFault(world);
    if (opening.code === "value") await recovers(world, opening.value);
    return opening.code;
  }
  const client = await world.connect(options);
  beginFault(world, fault);
  await clock.settle();
  const controller = new AbortController();
  clock.at(clock.nowMs() + callTimeoutMs, () => controller.abort());
  const outcome = new Outcome(calls[call](client, controller.signal));
  await clock.advance(callTimeoutMs);
  endFault(world);
  if (call !== "close") await recovers(world, client);
  return outcome.code;
}

/** Whatever was, a hub that is well again is found, and everything works. */
async function recovers(world: World, client: DeviceClient): Promise<void> {
  const all = [
    client.sendTelemetry("well again", { timeoutMs: recoveryMs }),
    client.getTwin({ timeoutMs: recoveryMs }),
  ];
  await world.settle(Promise.all(all), recoveryMs);
  expect(client.status().state).toBe("connected");
  await world.settle(client.close());
}

const rows = faultGroups.flatMap((group) => group.faults.map((fault) => fault));

test("the table has every fault and every call", () => {
  expect(rows.map(({ name }) => name).toSorted()).toEqual(Object.keys(faults).toSorted());
  expect(Object.keys(calls)).toEqual(callNames.slice(1));
  for (const { outcomes } of rows) expect(outcomes).toHaveLength(callNames.length);
});

test.each(rows)(
  "a hub that misbehaves: $name; every call settles by its deadline, and the client recovers",
  async ({ name, outcomes }) => {
    const expected = Object.fromEntries(callNames.map((call, i) => [call, outcomes[i]]));
    const seen: Record<string, string> = {};
    for (const call of callNames) seen[call] = await cell(name, call);
    expect(seen).toEqual(expected);
  },
);

test.each(rows)("status names it: $name", async ({ name, status }) => {
  const world = new World();
  const named = new Set<string>();
  const client = await world.connect({
    ...options,
    onStatus: (news) => {
      if (news.state !== "waiting" && news.state !== "connected") return;
      if (news.cause !== undefined) named.add(news.cause.code);
    },
  });
  beginFault(world, name);
  await world.clock.settle();
  // Not what the beginning of the fault did to the connection in use.
  named.clear();
  const outcomes = [client.sendTelemetry("a"), client.getTwin()].map(
    (call) => new Outcome<unknown>(call),
  );
  await world.clock.advance(120_000);
  expect(outcomes.every(({ isSettled }) => isSettled)).toBe(true);
  expect([...named]).toEqual(status);
});
