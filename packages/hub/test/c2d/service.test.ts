import { c2dBytesMax } from "@hubwire/protocol";
import { expect, test } from "vitest";
import type { C2dMessage } from "../../src/domain/services.ts";
import { count, message, send } from "../mqtt/c2d-steps.ts";
import { worldWithDevice } from "../mqtt/world.ts";

type Refused = [name: string, rest: Partial<C2dMessage>, code: string];
const refused: Refused[] = [
  ["65,537 bytes", { body: new Uint8Array(c2dBytesMax + 1) }, "message.too_large"],
  ["an expiry in the past", { expiresAtMs: Date.UTC(2024, 11, 31) }, "message.bad_expiry"],
  ["an expiry of now", { expiresAtMs: Date.UTC(2025, 0, 1) }, "message.bad_expiry"],
  ["an expiry in three days", { expiresAtMs: Date.UTC(2025, 0, 4) }, "message.bad_expiry"],
  ["no number as expiry", { expiresAtMs: Number.NaN }, "message.bad_expiry"],
  ["an unknown ack", { ack: "maybe" }, "argument.invalid"],
  [
    "a message id of 129 characters",
    { properties: { system: { messageId: "x".repeat(129) }, application: {} } },
    "argument.invalid",
  ],
  [
    "a property only devices set",
    { properties: { system: { componentName: "c" }, application: {} } },
    "topic.reserved_property",
  ],
  [
    "an application property spelt as a system one",
    { properties: { system: {}, application: { "$.mid": "1" } } },
    "topic.reserved_property",
  ],
];
test.each(refused)("a message with %s is refused to its sender", async (_, rest, code) => {
  const world = await worldWithDevice();
  const sending = world.during(world.c2d.service.send("dev1", message("x", rest)));
  await expect(sending).rejects.toMatchObject({ code });
  expect(await count(world)).toBe(0);
});

test("properties count towards the 64 KB", async () => {
  const world = await worldWithDevice();
  const fits = message("", { body: new Uint8Array(c2dBytesMax - "generated-1".length) });
  await world.during(world.c2d.service.send("dev1", fits));
  const tooLarge = message("", { body: new Uint8Array(c2dBytesMax) });
  await expect(world.during(world.c2d.service.send("dev1", tooLarge))).rejects.toMatchObject({
    code: "message.too_large",
  });
});

test("an unknown device has no queue", async () => {
  const world = await worldWithDevice();
  const { service } = world.c2d;
  const calls: (() => Promise<unknown>)[] = [
    () => service.send("dev2", message("x")),
    () => service.purge("dev2"),
    () => service.count("dev2"),
  ];
  for (const call of calls) {
    await expect(world.during(call())).rejects.toMatchObject({ code: "device.not_found" });
  }
});

test("the 51st message is refused, until one has gone or run out of time", async () => {
  const world = await worldWithDevice();
  const expiresAtMs = world.clock.wallMs() + 1_000;
  await world.during(world.c2d.service.send("dev1", message("short", { expiresAtMs })));
  await send(world, ...Array.from({ length: 49 }, (_, i) => `${i}`));
  await expect(send(world, "51st")).rejects.toMatchObject({ code: "quota.queue_full" });
  await world.clock.advance(1_000);
  await send(world, "51st");
  expect(await count(world)).toBe(50);
});

test("a disabled device's queue takes messages", async () => {
  const world = await worldWithDevice();
  const identity = await world.during(
    world.identities.find({ deviceId: "dev1", moduleId: undefined }),
  );
  await world.updateDevice(identity!, { status: "disabled" });
  await send(world, "1");
  expect(await count(world)).toBe(1);
});

test("ids: given ones are kept, missing ones are made", async () => {
  const world = await worldWithDevice();
  const given = message("x", { properties: { system: { messageId: "mine" }, application: {} } });
  expect(await world.during(world.c2d.service.send("dev1", given))).toEqual({
    messageId: "mine",
    sequence: 1,
  });
  expect(await world.during(world.c2d.service.send("dev1", message("y")))).toEqual({
    messageId: "generated-1",
    sequence: 2,
  });
});
