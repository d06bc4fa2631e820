import { expect, test } from "vitest";
import { Outcome, World } from "./support/world.ts";

test("a message is acknowledged by the hub before its promise is fulfilled", async () => {
  const world = new World();
  const client = await world.connect();
  const sent = new Outcome(client.sendTelemetry("hello"));
  expect(sent.code).toBe("pending");
  await world.clock.settle();
  expect(sent.code).toBe("value");
  expect(world.hub.telemetry).toMatchObject([
    { topic: "devices/dev1/messages/events/", text: "hello" },
  ]);
  await world.settle(client.close());
});
