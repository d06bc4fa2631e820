import { expect, test } from "vitest";
import { connect } from "@hubwire/device";
import type { ConnectOptions, DeviceClient, DeviceOptions, InputMessage } from "@hubwire/device";
import { moduleInputTopic } from "@hubwire/protocol";
import { hostName } from "./support/fake-hub.ts";
import { World } from "./support/world.ts";

const identity = { deviceId: "dev1", moduleId: "mod1" };

async function connectModule(world: World, options: DeviceOptions = {}): Promise<DeviceClient> {
  const credentials = { hostName, ...identity, sharedAccessKey: world.key };
  return world.settle(connect({ ...world.options(options), credentials } as ConnectOptions));
}

/** As a gateway delivers it: the bag names the sender. */
function input(world: World, name: string, text: string): number {
  const bag = "%24.cdid=dev1&%24.cmid=sender&%24.mid=m1&color=red";
  return world.hub.publish(moduleInputTopic(identity, name, bag), text, 1);
}

test("an input's handler gets its messages with the sender's name; they are completed when it has finished", async () => {
  const world = new World();
  const client = await connectModule(world);
  const seen: InputMessage[] = [];
  let finish = (): void => undefined;
  client.onInput("alerts", (message) => {
    seen.push(message);
    return new Promise<void>((resolve) => (finish = resolve));
  });
  await world.clock.settle();
  expect(world.hub.current.filters).toEqual(["devices/dev1/modules/mod1/inputs/#"]);
  const packetId = input(world, "alerts", "hot");
  await world.clock.settle();
  expect(seen[0]).toMatchObject({
    inputName: "alerts",
    connectionDeviceId: "dev1",
    connectionModuleId: "sender",
    messageId: "m1",
  });
  expect(seen[0]?.text()).toBe("hot");
  expect(seen[0]?.properties["color"]).toBe("red");
  expect(world.hub.completed).toEqual([]);
  finish();
  await world.clock.settle();
  expect(world.hub.completed).toEqual([packetId]);
});

test("an input without handler waits for inputs(), which gets what no handler takes", async () => {
  const world = new World();
  const client = await connectModule(world);
  const handled: string[] = [];
  client.onInput("a", (message) => void handled.push(message.text()));
  await world.clock.settle();
  input(world, "a", "1");
  input(world, "b", "2");
  await world.clock.settle();
  expect(handled).toEqual(["1"]);
  expect(world.hub.completed).toHaveLength(1);
  const read: string[] = [];
  void (async () => {
    for await (const message of client.inputs()) {
      read.push(`${message.inputName} ${message.text()}`);
      await message.complete();
    }
  })();
  await world.clock.settle();
  expect(read).toEqual(["b 2"]);
  expect(world.hub.completed).toHaveLength(2);
});

test("one message id on two inputs is two messages", async () => {
  const world = new World();
  const client = await connectModule(world);
  const seen: string[] = [];
  for (const name of ["a", "b"]) {
    client.onInput(name, ({ inputName }) => {
      seen.push(inputName);
      return new Promise(() => undefined);
    });
  }
  await world.clock.settle();
  input(world, "a", "same");
  input(world, "b", "same");
  await world.clock.settle();
  expect(seen).toEqual(["a", "b"]);
});

test("a device has no inputs", async () => {
  const world = new World();
  const client = await world.connect();
  for (const mistake of [() => client.onInput("a", () => undefined), () => client.inputs()]) {
    expect(mistake).toThrow(expect.objectContaining({ code: "argument.invalid" }));
  }
  const module = await connectModule(new World()).catch(() => undefined);
  expect(module).toBeDefined();
  expect(() => module?.onInput("", () => undefined)).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
});
