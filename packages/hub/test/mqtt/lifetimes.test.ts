import { expect, test } from "vitest";
import { subscribe, worldWithDevice } from "./world.ts";

const desired = "$iothub/twin/PATCH/properties/desired/#";
const dev1 = { deviceId: "dev1", moduleId: undefined };

test("the session is cut when the token and its grace are over", async () => {
  const world = await worldWithDevice({ auth: { expiryGraceS: 60 } });
  const device = await world.online({ lifetimeS: 600, keepalive: 0 });
  await world.clock.advance(659_000);
  device.expectOpen();
  await world.clock.advance(2_000);
  device.expectClosed();
  expect(world.lastEnd()).toBe("connection.token_expired");
});

test("a wall clock that jumps ahead is noticed within five minutes", async () => {
  const world = await worldWithDevice({ auth: { expiryGraceS: 0 } });
  const device = await world.online({ lifetimeS: 86_400, keepalive: 0 });
  world.clock.jumpWall(86_400_000);
  await world.clock.advance(300_000);
  device.expectClosed();
});

test("renewal: a new connection with a new token keeps the session, and the old one's end does not touch it", async () => {
  const world = await worldWithDevice({ auth: { expiryGraceS: 0, clockToleranceS: 0 } });
  let device = await world.online({ clean: false, lifetimeS: 30 });
  await device.send(subscribe(1, [desired, 0]));
  for (let renewal = 0; renewal < 20; renewal++) {
    await world.clock.advance(25_000);
    device.expectOpen();
    const next = await world.connect({ clean: false, lifetimeS: 30 });
    next.expect({ cmd: "connack", returnCode: 0, sessionPresent: true });
    device.expectClosed();
    device = next;
  }
  expect(world.connections.find(dev1)?.isSubscribed("desired")).toBe(true);
});

test.each([
  [60, 90_000],
  [1, 1_500],
  [1177, 1_765_500],
  [1178, 1_767_000],
  [65_535, 1_767_000],
  [0, 1_767_000],
])("keep-alive %d s: silence is taken for %d ms", async (keepalive, timeoutMs) => {
  const world = await worldWithDevice();
  const device = await world.online({ keepalive, lifetimeS: 86_400 });
  await world.clock.advance(timeoutMs - 1);
  device.expectOpen();
  await world.clock.advance(1);
  device.expectClosed();
  expect(world.lastEnd()).toBe("mqtt.keep_alive_timeout");
});

test("PINGREQ is answered and keeps the connection", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ keepalive: 10 });
  for (let i = 0; i < 5; i++) {
    await world.clock.advance(14_000);
    await device.send({ cmd: "pingreq" });
    device.expect({ cmd: "pingresp" });
  }
});
