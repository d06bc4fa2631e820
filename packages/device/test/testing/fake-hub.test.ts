import { describe, expect, test } from "vitest";
import { connect } from "@hubwire/device";
import type { DeviceOptions } from "@hubwire/device";
import { fakeHub } from "@hubwire/device/testing";
import type { Clock } from "@hubwire/transport";
import { Outcome } from "../support/world.ts";

const quiet: DeviceOptions = { onError: () => undefined };

async function world(options: DeviceOptions = {}) {
  const hub = fakeHub();
  const client = await connect({ ...hub.connectOptions("d1"), ...quiet, ...options });
  return { hub, client, device: hub.device("d1") };
}

describe("fake hub: what needs no time", () => {
  test("telemetry arrives with body, properties and system properties", async () => {
    const { hub, client } = await world();
    await client.sendTelemetry(
      { temperature: 21.5 },
      { properties: { alarm: "yes & no" }, messageId: "m1" },
    );
    const [message] = hub.telemetry;
    expect(message?.json()).toEqual({ temperature: 21.5 });
    expect(message?.properties).toEqual({ alarm: "yes & no" });
    expect(message?.messageId).toBe("m1");
    expect(message?.system.contentType).toBe("application/json");
    expect(message).toMatchObject({ deviceId: "d1", qos: 1, duplicate: false });
    expect(hub.clock.nowMs()).toBe(0);
    await client.close();
    expect(hub.device("d1").isConnected).toBe(false);
  });

  test("a cloud-to-device message is completed when the handler returns", async () => {
    const got: string[] = [];
    const { hub, client } = await world({ onMessage: (message) => void got.push(message.text()) });
    const sent = hub.sendC2d("wake up", { properties: { why: "morning" } });
    await hub.clock.until(() => sent.state === "completed");
    expect(got).toEqual(["wake up"]);
    expect(sent.deliveries).toBe(1);
    await client.close();
  });

  test("messages wait for the device, in order", async () => {
    const { hub, client } = await world();
    const first = client.messages();
    await hub.clock.advance(0);
    await client.close();
    for (const text of ["a", "b", "c"]) hub.sendC2d(text);
    await first.return?.();
    const got: string[] = [];
    const again = await connect({
      ...hub.connectOptions("d1"),
      onMessage: (message) => void got.push(message.text()),
    });
    await hub.clock.until(() => got.length === 3);
    expect(got).toEqual(["a", "b", "c"]);
    await again.close();
  });

  test("a method is answered, a missing one with 404", async () => {
    const { hub, client } = await world({
      methods: { add: ({ payload }) => ({ status: 201, payload: (payload as number) + 1 }) },
    });
    await hub.clock.advance(0);
    expect(await hub.invokeMethod("add", 41)).toEqual({ status: 201, payload: 42 });
    expect(await hub.invokeMethod("subtract")).toMatchObject({ status: 404 });
    await client.close();
    await expect(hub.invokeMethod("add", 1)).rejects.toMatchObject({ code: "device.not_online" });
  });

  test("a method that is never answered ends with its time", async () => {
    const { hub, client } = await world({ methods: { hang: () => new Promise(() => {}) } });
    await hub.clock.advance(0);
    const call = new Outcome(hub.invokeMethod("hang", null, { timeoutMs: 5_000 }));
    await hub.clock.advance(4_999);
    expect(call.isSettled).toBe(false);
    await hub.clock.advance(1);
    expect(call.code).toBe("method.timeout");
    const closing = client.close({ timeoutMs: 10 });
    await hub.clock.advance(10);
    await closing;
  });

  test("twin: desired comes to the device, reported to the hub", async () => {
    const { hub, client } = await world();
    hub.setDesired({ interval: 10 });
    expect(await client.getTwin()).toMatchObject({ desired: { interval: 10 }, desiredVersion: 2 });
    const changes = client.desiredProperties();
    expect((await changes.next()).value).toMatchObject({ desired: { interval: 10 } });
    const next = changes.next();
    hub.setDesired({ interval: 20, color: "red" });
    expect((await next).value).toMatchObject({
      patch: { interval: 20, color: "red" },
      version: 3,
    });
    expect(await client.reportProperties({ interval: 20 })).toEqual({ version: 2 });
    expect(hub.reported).toEqual({ interval: 20 });
    await expect(client.reportProperties({ deep: { a: { $x: 1 } } })).rejects.toMatchObject({
      code: expect.stringMatching(/^twin\./) as string,
    });
    await client.close();
  });

  test("several devices and modules have their own twins, queues and telemetry", async () => {
    const hub = fakeHub();
    const one = await connect({ ...hub.connectOptions("one"), ...quiet });
    const two = await connect({ ...hub.connectOptions("two", { moduleId: "m" }), ...quiet });
    await one.sendTelemetry("from one");
    await two.sendTelemetry("from two");
    expect(hub.telemetry.map((each) => [each.deviceId, each.moduleId, each.text()])).toEqual([
      ["one", undefined, "from one"],
      ["two", "m", "from two"],
    ]);
    expect(hub.device("two", "m").telemetry).toHaveLength(1);
    expect(() => hub.sendC2d("to whom?")).toThrow("hub.device");
    await Promise.all([one.close(), two.close()]);
  });
});

describe("fake hub: faults", () => {
  test("a cut connection comes back, and what was not acknowledged is sent again", async () => {
    const { hub, client, device } = await world();
    const end = hub.dropAcks();
    const sending = new Outcome(client.sendTelemetry("once"));
    await hub.clock.until(() => hub.telemetry.length === 1);
    end();
    hub.cut();
    await hub.clock.until(() => sending.isSettled);
    expect(sending.code).toBe("value");
    expect(hub.telemetry.map(({ duplicate }) => duplicate)).toEqual([false, true]);
    expect(device.connects).toBe(2);
    await client.close();
  });

  test("delayed acknowledgements come after their time", async () => {
    const { hub, client } = await world();
    hub.delayAcks(3_000);
    const sending = new Outcome(client.sendTelemetry("slow"));
    await hub.clock.advance(2_999);
    expect(hub.telemetry).toHaveLength(1);
    expect(sending.isSettled).toBe(false);
    await hub.clock.advance(1);
    expect(sending.code).toBe("value");
    await client.close();
  });

  test("a half-open connection is found by keep-alive or by a missing acknowledgement", async () => {
    const { hub, client, device } = await world({ keepAliveS: 20 });
    hub.halfOpen();
    const sending = new Outcome(client.sendTelemetry("into the void"));
    await hub.clock.advance(5_000);
    expect(sending.isSettled).toBe(false);
    await hub.clock.until(() => sending.isSettled);
    expect(sending.code).toBe("value");
    expect(device.connects).toBe(2);
    expect(hub.telemetry).toHaveLength(1);
    await client.close();
  });

  test("a silent hub: attempts time out until it speaks again", async () => {
    const { hub, client } = await world({ keepAliveS: 10, attemptTimeoutMs: 2_000 });
    const speak = hub.silence();
    await hub.clock.advance(120_000);
    expect(client.status().state).not.toBe("connected");
    speak();
    await hub.clock.until(() => client.status().state === "connected");
    await client.close();
  });

  test("a hub that cannot be reached, and comes back", async () => {
    const { hub, client } = await world();
    const online = hub.goOffline();
    await hub.clock.until(() => client.status().state === "waiting");
    expect(client.status()).toMatchObject({ cause: { code: expect.any(String) as string } });
    const sending = new Outcome(client.sendTelemetry("later"));
    await hub.clock.advance(30_000);
    online();
    await hub.clock.until(() => sending.isSettled);
    expect(sending.code).toBe("value");
    await client.close();
  });

  test.each([
    [3, "device.refused_unavailable"],
    [4, "device.refused_credentials"],
    [5, "device.refused_not_authorized"],
  ] as const)("CONNACK %i is %s", async (code, expected) => {
    const { hub, client } = await world();
    hub.refuse(code, { times: 1 });
    hub.cut();
    await hub.clock.until(() => {
      const status = client.status();
      return status.state === "waiting" && status.cause.code === expected;
    });
    await hub.clock.until(() => client.status().state === "connected");
    await client.close();
  });

  test("a lost notification is found by its version", async () => {
    const { hub, client } = await world();
    const changes = client.desiredProperties();
    await changes.next();
    hub.setDesired({ a: 1 }, { lost: true });
    hub.setDesired({ b: 2 });
    expect((await changes.next()).value).toMatchObject({ desired: { a: 1, b: 2 }, version: 3 });
    await client.close();
  });

  test("a disabled device is refused until it is enabled", async () => {
    const { hub, client, device } = await world();
    device.disable();
    await hub.clock.advance(60_000);
    expect(client.status()).toMatchObject({ cause: { code: "device.refused_not_authorized" } });
    device.enable();
    await hub.clock.until(() => device.isConnected);
    await client.close();
  });

  test("a token is renewed before the hub cuts, and nothing is lost", async () => {
    const { hub, client, device } = await world({ tokenLifetimeS: 60 });
    for (let i = 0; i < 20; i++) {
      const sending = client.sendTelemetry({ i });
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      await hub.clock.advance(10_000);
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      await sending;
    }
    expect(hub.telemetry.map((message) => (message.json() as { i: number }).i)).toEqual(
      Array.from({ length: 20 }, (_, i) => i),
    );
    expect(device.connects).toBeGreaterThan(2);
    expect(client.stats().reconnects).toBe(0);
    await client.close();
  });

  test("a message that is not completed comes again after a minute, marked as a repetition", async () => {
    const got: boolean[] = [];
    const { hub, client } = await world({
      onMessage: (message) => {
        got.push(message.redelivered);
        if (got.length === 1) throw new Error("not now");
      },
    });
    const sent = hub.sendC2d("again");
    await hub.clock.advance(59_000);
    expect(got).toEqual([false]);
    await hub.clock.until(() => sent.state === "completed");
    expect(got).toEqual([false, true]);
    expect(hub.clock.nowMs()).toBe(60_000);
    await client.close();
  });

  test("a strange key is refused", async () => {
    const hub = fakeHub();
    const { credentials, ...rest } = hub.connectOptions("d1");
    const wrong = { ...credentials, sharedAccessKey: "d3Jvbmcga2V5" };
    const opening = connect({ ...rest, credentials: wrong });
    await expect(opening).rejects.toMatchObject({ code: "device.refused_not_authorized" });
  });

  test("a device whose clock is hours behind makes tokens that ended already", async () => {
    const hub = fakeHub();
    const { clock } = hub;
    const slow: Clock = {
      wallMs: () => clock.wallMs() - 2 * 3_600_000,
      nowMs: () => clock.nowMs(),
      at: (atMs, callback) => clock.at(atMs, callback),
      endOfTurn: (callback) => clock.endOfTurn(callback),
    };
    const opening = connect({ ...hub.connectOptions("d1"), clock: slow });
    await expect(opening).rejects.toMatchObject({ code: "device.refused_not_authorized" });
  });
});

describe("fake hub: time", () => {
  test("the same test gives the same times, to the millisecond", async () => {
    const run = async (): Promise<number[]> => {
      const hub = fakeHub({ seed: 7 });
      const times: number[] = [];
      const client = await connect({
        ...hub.connectOptions("d1"),
        ...quiet,
        onStatus: () => void times.push(hub.clock.nowMs()),
      });
      const online = hub.goOffline();
      await hub.clock.advance(100_000);
      online();
      await hub.clock.until(() => client.status().state === "connected");
      await client.close();
      return times;
    };
    const first = await run();
    expect(first.length).toBeGreaterThan(5);
    expect(await run()).toEqual(first);
  });

  test("what a callback throws fails the call that let time pass", async () => {
    const hub = fakeHub();
    hub.clock.at(1_000, () => {
      throw new Error("mine");
    });
    await expect(hub.clock.advance(1_000)).rejects.toThrow("mine");
    await hub.clock.advance(1);
  });

  test("what is due at the moment until stopped at happens by itself", async () => {
    const { clock } = fakeHub();
    const done: string[] = [];
    clock.at(10, () => void done.push("first"));
    clock.at(10, () => void done.push("second"));
    await clock.until(() => done.length === 1);
    for (let turn = 0; turn < 5 && done.length < 2; turn++) {
      // oxlint-disable-next-line no-await-in-loop -- some turns of the event loop
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(done).toEqual(["first", "second"]);
    expect(clock.nowMs()).toBe(10);
  });

  test("advances that overlap follow each other", async () => {
    const hub = fakeHub();
    await Promise.all([hub.clock.advance(10), hub.clock.advance(20)]);
    expect(hub.clock.nowMs()).toBe(30);
  });
});
