import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { objectsIn } from "./support/run.ts";
import { createWorld, type World } from "./support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({
    hostName: "contoso.azure-devices.net",
    gatewayHostName: "localhost",
    hostNames: ["rack.example"],
  });
});
afterAll(() => world[Symbol.asyncDispose]());

test("a hub whose name nobody can dial is reached by its gateway name, for everything", async () => {
  const { mqttPort, httpsPort, amqpPort } = world.hub;
  const created = await world.hubwire("device", "create", "d");
  expect(created.stdout).toMatch(
    new RegExp(
      `^HostName=contoso\\.azure-devices\\.net;DeviceId=d;SharedAccessKey=[^;]+;GatewayHostName=localhost:${mqttPort}\n$`,
      "u",
    ),
  );
  expect(created.stdout).toBe(`${await world.hub.deviceConnectionString("d")}\n`);
  expect((await world.hubwire("send", "d", "hello")).code).toBe(0);
  const pasted = ["--device-connection-string", created.stdout.trim()];
  expect((await world.hubwire("send", "d", "pasted", ...pasted)).code).toBe(0);
  const seen = await world.hubwire("monitor", "--from", "first", "--no-follow", "--json");
  expect(objectsIn(seen.stdout).map((event) => event["body"])).toEqual(["hello", "pasted"]);
  const [env] = objectsIn((await world.hubwire("hub", "env", "--json")).stdout);
  expect(env).toMatchObject({
    IOTHUB_CONNECTION_STRING: expect.stringContaining(
      `HostName=localhost:${httpsPort};`,
    ) as unknown,
    IOTHUB_EVENTHUBS_CONNECTION_STRING: expect.stringMatching(
      new RegExp(`^Endpoint=sb://localhost:${amqpPort}/;.*;EntityPath=contoso$`, "u"),
    ) as unknown,
    NODE_EXTRA_CA_CERTS: join(world.data, "ca.pem"),
  });
  expect((await world.hubwire("c2d", "send", "d", "hi")).code).toBe(0);
});
