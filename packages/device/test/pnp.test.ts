import { expect, test } from "vitest";
import { World } from "./support/world.ts";

test("telemetry of a component names it in $.sub", async () => {
  const world = new World();
  const client = await world.connect();
  await world.settle(client.pnp.sendTelemetry("thermostat1", { temperature: 21 }));
  await world.settle(client.pnp.sendTelemetry(undefined, { workingSet: 1 }));
  const [component, device] = world.hub.telemetry.map(({ topic }) => topic);
  expect(component).toContain("%24.sub=thermostat1");
  expect(device).not.toContain("sub");
});

test("components are reported with their marker, writable properties acknowledged with the version", async () => {
  const world = new World();
  const client = await world.connect();
  const { pnp } = client;
  await world.settle(pnp.reportComponent("thermostat1", { maxTemp: 25.3 }));
  await world.settle(
    pnp.acknowledge("targetTemperature", { value: 21, av: 3, component: "thermostat1" }),
  );
  await world.settle(pnp.acknowledge("interval", { value: 5, ac: 203, av: 0, ad: "default" }));
  expect(world.hub.reports).toEqual([
    { thermostat1: { __t: "c", maxTemp: 25.3 } },
    { thermostat1: { __t: "c", targetTemperature: { value: 21, ac: 200, av: 3 } } },
    { interval: { value: 5, ac: 203, av: 0, ad: "default" } },
  ]);
});

test("a command of a component is the method component*command", async () => {
  const world = new World();
  const client = await world.connect();
  client.pnp.onCommand("thermostat1", "getReport", ({ payload }) => ({ payload: { payload } }));
  client.pnp.onCommand(undefined, "reboot", () => ({ status: 202 }));
  await world.clock.settle();
  world.hub.method("thermostat1*getReport", '"since"', "a");
  world.hub.method("reboot", "", "b");
  await world.clock.settle();
  expect(world.hub.methodAnswers).toMatchObject([
    { rid: "a", status: 200, text: '{"payload":"since"}' },
    { rid: "b", status: 202 },
  ]);
});

test("a writable property: the value that is there and each change, acknowledged with the version of the wish", async () => {
  const world = new World();
  world.hub.twin.desired = { thermostat1: { __t: "c", target: 20 }, other: 1 };
  const client = await world.connect();
  const wishes: [unknown, number][] = [];
  client.pnp.onWritable<number>("thermostat1", "target", (value, { version }) => {
    wishes.push([value, version]);
    if (value > 50) return { ac: 400, ad: "too hot", value: 50 };
    return undefined;
  });
  await world.clock.settle();
  world.hub.desire({ other: 2 });
  world.hub.desire({ thermostat1: { __t: "c", target: 99 } });
  await world.clock.settle();
  expect(wishes).toEqual([
    [20, 1],
    [99, 3],
  ]);
  const acks = world.hub.reports.map(
    (report) => (report as { thermostat1: { target: unknown } }).thermostat1.target,
  );
  expect(acks).toEqual([
    { value: 20, ac: 200, av: 1 },
    { value: 50, ac: 400, av: 3, ad: "too hot" },
  ]);
});

test("handlers of one property run one at a time, and of what came meanwhile only the last wish counts", async () => {
  const world = new World();
  const client = await world.connect();
  const seen: unknown[] = [];
  let finish = (): void => undefined;
  client.pnp.onWritable(undefined, "p", (value) => {
    seen.push(value);
    return new Promise<void>((resolve) => (finish = resolve));
  });
  await world.clock.settle();
  for (const p of [1, 2, 3]) {
    world.hub.desire({ p });
    await world.clock.settle();
  }
  expect(seen).toEqual([1]);
  finish();
  await world.clock.settle();
  finish();
  await world.clock.settle();
  expect(seen).toEqual([1, 3]);
  expect(world.hub.reported["p"]).toEqual({ value: 3, ac: 200, av: 4 });
});

test("a handler that throws is acknowledged 500 without details; what parse refuses 400 with its words", async () => {
  const world = new World();
  const errors: string[] = [];
  const client = await world.connect({ onError: (_error, where) => errors.push(where) });
  client.pnp.onWritable(undefined, "broken", () => {
    throw new Error("secret");
  });
  client.pnp.onWritable<number>(undefined, "checked", () => undefined, {
    parse: (value) => {
      if (typeof value === "number") return value;
      throw new Error("a number, please");
    },
  });
  await world.clock.settle();
  world.hub.desire({ broken: 1 });
  world.hub.desire({ checked: "x" });
  await world.clock.settle();
  expect(world.hub.reported).toEqual({
    broken: { value: 1, ac: 500, av: 2, ad: "The device could not set the property" },
    checked: { value: "x", ac: 400, av: 3, ad: "a number, please" },
  });
  expect(errors).toEqual(["writable broken"]);
});

test("a wish that is taken back is not told; a handler can go and another come", async () => {
  const world = new World();
  world.hub.twin.desired = { p: 1 };
  const client = await world.connect();
  const log: string[] = [];
  const remove = client.pnp.onWritable<number>(
    undefined,
    "p",
    (value) => void log.push(`a ${value}`),
  );
  expect(() => client.pnp.onWritable(undefined, "p", () => undefined)).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
  await world.clock.settle();
  world.hub.desire({ p: null });
  await world.clock.settle();
  remove();
  await world.clock.settle();
  client.pnp.onWritable<number>(undefined, "p", (value) => void log.push(`b ${value}`));
  world.hub.desire({ p: 2 });
  await world.clock.settle();
  expect(log).toEqual(["a 1", "b 2"]);
});

test("what was wished while the device was away is acknowledged after the reconnect", async () => {
  const world = new World();
  const client = await world.connect();
  client.pnp.onWritable(undefined, "p", () => undefined);
  await world.clock.settle();
  world.hub.cut();
  await world.clock.settle();
  world.hub.desire({ p: 7 }, true);
  await world.clock.runUntil(() => world.hub.reports.length > 0);
  expect(world.hub.reported["p"]).toEqual({ value: 7, ac: 200, av: 2 });
});

test.each([
  ["component", ["1x", "p"]],
  ["property", ["c", "a.b"]],
] as const)("a bad %s name is the caller's mistake", async (_what, [component, property]) => {
  const world = new World();
  const client = await world.connect();
  expect(() => client.pnp.onWritable(component, property, () => undefined)).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
  await expect(
    client.pnp.acknowledge(property, { component, value: 1, av: 1 }),
  ).rejects.toMatchObject({ code: "argument.invalid" });
});
