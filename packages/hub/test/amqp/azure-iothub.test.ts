import type * as Common from "azure-iot-common";
import type * as Sdk from "azure-iothub";
import { connect } from "@hubwire/device";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Hub } from "../../src/index.ts";
import { require, trustedHub } from "./world.ts";

type ServiceReceiver = {
  on(event: "message", listener: (batch: { data: unknown }) => void): void;
  complete(batch: unknown, done: (error?: Error) => void): void;
};
const { Client } = require("azure-iothub") as typeof Sdk;
const { Message } = require("azure-iot-common") as typeof Common;

let hub: Hub;
beforeAll(async () => {
  hub = await trustedHub();
});
afterAll(() => hub.stop());

/** The client dials 5671 unless the host name says otherwise. */
const client = () => {
  const text = hub
    .connectionString()
    .replace(/HostName=[^;]*/, `HostName=localhost:${hub.amqpPort}`);
  return Client.fromConnectionString(text);
};

test("the official service client sends a message, the device gets it, and feedback comes back once", async () => {
  const { connectionString } = await hub.createDevice({ deviceId: "dev-1" });
  const device = await connect({ connectionString, ca: hub.caPem } as never);
  const service = client();
  await service.open();
  const message = new Message("hello");
  message.messageId = "m-1";
  message.ack = "full";
  message.properties.add("room", "kitchen");
  await service.send("dev-1", message);
  for await (const received of device.messages()) {
    expect(new TextDecoder().decode(received.body)).toBe("hello");
    await received.complete();
    break;
  }
  const receiver = await new Promise<ServiceReceiver>((resolve, reject) => {
    service.getFeedbackReceiver((error, made) => (made ? resolve(made as never) : reject(error)));
  });
  const feedback = await new Promise<unknown>((resolve) => {
    receiver.on("message", (batch) => {
      receiver.complete(batch, () => resolve(JSON.parse(String(batch.data))));
    });
  });
  expect(feedback).toEqual([
    {
      originalMessageId: "m-1",
      enqueuedTimeUtc: expect.stringMatching(/^\d{4}-.*Z$/),
      statusCode: "Success",
      description: "Success",
      deviceId: "dev-1",
      deviceGenerationId: expect.stringMatching(/^\d+$/),
    },
  ]);
  await service.close();
  await device.close();
});

test("its errors have the names the service gives them", async () => {
  const service = client();
  await service.open();
  await expect(service.send("nobody", new Message("x"))).rejects.toMatchObject({
    name: "DeviceNotFoundError",
  });
  await hub.createDevice({ deviceId: "full" });
  for (let i = 0; i < 50; i++) await service.send("full", new Message("x"));
  await expect(service.send("full", new Message("x"))).rejects.toMatchObject({
    name: "DeviceMaximumQueueDepthExceededError",
  });
  await expect(service.send("full", new Message(Buffer.alloc(70_000)))).rejects.toMatchObject({
    name: "MessageTooLargeError",
  });
  await service.close();
});

test("a wrong key is an UnauthorizedError", async () => {
  const text = hub
    .connectionString()
    .replace(/HostName=[^;]*/, `HostName=localhost:${hub.amqpPort}`);
  const service = Client.fromConnectionString(
    text.replace(/SharedAccessKey=.*/, "SharedAccessKey=bm8="),
  );
  await expect(service.open()).rejects.toMatchObject({
    amqpError: { name: "UnauthorizedError" },
  });
});
