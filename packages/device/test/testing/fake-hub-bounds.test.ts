import { describe, expect, test } from "vitest";
import { connect } from "@hubwire/device";
import type { DeviceOptions } from "@hubwire/device";
import { fakeHub } from "@hubwire/device/testing";
import { systemClock, VirtualClock } from "@hubwire/transport";
import { Outcome } from "../support/world.ts";

async function world(options: DeviceOptions = {}) {
  const hub = fakeHub();
  const quiet = { onError: () => undefined };
  const client = await connect({ ...hub.connectOptions("d1"), ...quiet, ...options });
  return { hub, client, device: hub.device("d1") };
}

describe("cloud-to-device queue of the fake hub", () => {
  test("holds fifty messages of at most 64 KB", async () => {
    const { hub, client } = await world();
    for (let i = 0; i < 50; i++) hub.sendC2d(String(i));
    expect(() => hub.sendC2d("one more")).toThrow(
      expect.objectContaining({ code: "quota.queue_full" }) as Error,
    );
    await client.close();
    const other = fakeHub();
    other.connectOptions("d1");
    other.sendC2d("x".repeat(64 * 1024 - 20));
    expect(() => other.sendC2d("x".repeat(64 * 1024))).toThrow(
      expect.objectContaining({ code: "message.too_large" }) as Error,
    );
  });

  test("a message that was not delivered in its time is gone, and makes room", async () => {
    const { hub, client } = await world();
    const short = hub.sendC2d("short", { timeToLiveMs: 60_000 });
    const long = hub.sendC2d("long");
    expect([short.state, long.state]).toEqual(["queued", "queued"]);
    await hub.clock.advance(60_001);
    const got: string[] = [];
    void (async () => {
      for await (const message of client.messages()) {
        got.push(message.text());
        await message.complete();
      }
    })();
    await hub.clock.until(() => long.state === "completed");
    expect(got).toEqual(["long"]);
    expect(short.state).toBe("expired");
    await client.close();
  });

  test("a clean session finds an empty queue", async () => {
    const { hub, client } = await world();
    await client.close();
    const sent = hub.sendC2d("before");
    const clean = await connect({
      ...hub.connectOptions("d1"),
      cleanSession: true,
      onMessage: () => undefined,
    });
    await hub.clock.advance(1_000);
    expect(sent).toMatchObject({ state: "expired", deliveries: 0 });
    await clean.close();
  });

  test("system properties arrive", async () => {
    let seen: unknown;
    const { hub, client } = await world({
      onMessage: ({ messageId, correlationId, contentType, contentEncoding, properties }) => {
        seen = [messageId, correlationId, contentType, contentEncoding, { ...properties }];
      },
    });
    hub.sendC2d(
      { a: 1 },
      {
        messageId: "m",
        correlationId: "c",
        contentType: "application/json",
        contentEncoding: "utf-8",
        properties: { "a=b": "c&d" },
      },
    );
    await hub.clock.advance(0);
    expect(seen).toEqual(["m", "c", "application/json", "utf-8", { "a=b": "c&d" }]);
    await client.close();
  });
});

describe("sessions of the fake hub", () => {
  test("forgotten, the device subscribes again and unacknowledged messages are new ones", async () => {
    const got: boolean[] = [];
    const { hub, client, device } = await world({
      onMessage: (message) => {
        got.push(message.redelivered);
        if (got.length === 1) throw new Error("not yet");
      },
    });
    const sent = hub.sendC2d("again");
    await hub.clock.advance(0);
    device.forgetSession();
    await hub.clock.until(() => sent.state === "completed");
    expect(client.status()).toMatchObject({ state: "connected", sessionPresent: false });
    expect(got).toHaveLength(2);
    await client.close();
  });

  test("a second client with the same id ends the first one's connection", async () => {
    const { hub, client, device } = await world();
    const second = await connect(hub.connectOptions("d1"));
    expect(device.connects).toBe(2);
    await hub.clock.advance(0);
    expect(client.status()).toMatchObject({ state: "waiting", cause: { retryable: true } });
    await second.close();
    await hub.clock.until(() => client.status().state === "connected");
    await client.close();
  });

  test("a token that cannot be renewed is cut when it ends, also when the clock jumps", async () => {
    const { hub, client, device } = await world({ tokenLifetimeS: 600, tokenRenewBeforeS: 1 });
    const end = hub.refuse(5);
    hub.clock.jumpWall(700_000);
    await hub.clock.advance(61_000);
    expect(device.isConnected).toBe(false);
    end();
    await hub.clock.until(() => device.isConnected);
    await client.close();
  });
});

describe("what the fake hub does not take", () => {
  test("twin requests that stay without answer end with their time", async () => {
    const { hub, client } = await world();
    const end = hub.silenceTwin();
    const asking = new Outcome(client.getTwin({ timeoutMs: 5_000 }));
    await hub.clock.advance(5_000);
    expect(asking.code).toBe("call.timeout");
    end();
    expect(await client.getTwin()).toMatchObject({ desiredVersion: 1 });
    await client.close();
  });

  test("a method name or an input that cannot be is the test's mistake", async () => {
    const { hub, client, device } = await world();
    await expect(hub.invokeMethod("no spaces")).rejects.toMatchObject({ code: "argument.invalid" });
    expect(() => device.sendInput("in", "x")).toThrow("modules have inputs");
    expect(() => hub.device("nobody")).toThrow("connectOptions was not called");
    await client.close();
  });

  test("heal ends every fault", async () => {
    const { hub, client } = await world();
    hub.refuse(5);
    hub.delayAcks(1e9);
    hub.dropAcks();
    hub.throttleTwin();
    hub.silenceTwin();
    hub.goOffline();
    hub.silence();
    hub.heal();
    await hub.clock.until(() => client.status().state === "connected");
    const sending = new Outcome(client.sendTelemetry("healthy"));
    const asking = new Outcome(client.getTwin());
    await hub.clock.advance(0);
    expect([sending.code, asking.code]).toEqual(["value", "value"]);
    await client.close();
  });
});

test("a module's input takes messages once it listens", async () => {
  const hub = fakeHub();
  const client = await connect(hub.connectOptions("edge", { moduleId: "filter" }));
  const module = hub.device("edge", "filter");
  module.sendInput("in", "nobody listens");
  const got: unknown[] = [];
  client.onInput("in", (message) => void got.push([message.text(), { ...message.properties }]));
  await hub.clock.advance(0);
  module.sendInput("in", "hello", { a: "b" });
  module.sendInput("other", "not for me");
  await hub.clock.advance(0);
  expect(got).toEqual([["hello", { a: "b" }]]);
  expect(() => module.sendC2d("no")).toThrow("Modules");
  await client.close();
});

describe("other clocks", () => {
  test("the system's: everything in real time", async () => {
    const hub = fakeHub({ clock: systemClock() });
    const client = await connect(hub.connectOptions("d1"));
    await client.sendTelemetry("now");
    expect(hub.telemetry).toHaveLength(1);
    await client.close();
  });

  test("a virtual one that stands still until it is moved", async () => {
    const clock = new VirtualClock();
    const hub = fakeHub({ clock });
    const opening = new Outcome(connect(hub.connectOptions("d1")));
    await new Promise((resolve) => setImmediate(resolve));
    expect(opening.isSettled).toBe(false);
    await clock.runUntil(() => opening.isSettled);
    const closing = opening.value.close();
    await clock.advance(1);
    await closing;
  });
});
