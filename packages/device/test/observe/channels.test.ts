import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { inspect } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { connect } from "@hubwire/device";
import type { DeviceEventName, DeviceEvents, DeviceOptions } from "@hubwire/device";
import { fakeHub } from "@hubwire/device/testing";
import { channelName, channels } from "../../src/observe/channels.ts";

type Heard = {
  [Name in DeviceEventName]: { name: Name; event: DeviceEvents[Name] };
}[DeviceEventName];

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** Everything told on all channels from now on. */
function listen(): Heard[] {
  const heard: Heard[] = [];
  for (const name of Object.keys(channels) as DeviceEventName[]) {
    const listener = (event: unknown): void => void heard.push({ name, event } as Heard);
    subscribe(channelName(name), listener);
    ends.push(() => unsubscribe(channelName(name), listener));
  }
  return heard;
}

async function world(options: DeviceOptions = {}) {
  const heard = listen();
  const hub = fakeHub();
  const connectOptions = hub.connectOptions("d1");
  const client = await connect({ ...connectOptions, onError: () => undefined, ...options });
  const names = (): string[] => heard.map(({ name }) => name);
  const of = <Name extends DeviceEventName>(name: Name) =>
    heard.filter((one) => one.name === name).map(({ event }) => event as DeviceEvents[Name]);
  return { hub, client, heard, names, of, key: connectOptions.credentials.sharedAccessKey };
}

describe("diagnostics channels", () => {
  test("a quiet life: opened, connected, closed", async () => {
    const { client, names, of } = await world();
    await client.close();
    expect(names()).toEqual(["opened", "connected", "closed"]);
    const device = { hostName: "fake-hub.example", deviceId: "d1", moduleId: undefined };
    expect(of("connected")).toEqual([{ device, sessionPresent: false, renewed: false }]);
    expect(of("opened")[0]?.stats).toBe(of("closed")[0]?.stats);
    expect(of("closed")[0]).toMatchObject({ device, cause: undefined });
    expect(of("closed")[0]?.stats().connects).toBe(1);
  });

  test("an outage: disconnected once, each failed attempt, connected again", async () => {
    const { hub, client, names, of } = await world();
    const online = hub.goOffline();
    await hub.clock.advance(20_000);
    online();
    await hub.clock.until(() => client.status().state === "connected");
    await client.close();
    expect(of("disconnected")).toHaveLength(1);
    expect(of("connectFailed").length).toBeGreaterThan(0);
    expect(of("connectFailed").map(({ attempt }) => attempt)[0]).toBe(1);
    expect(of("connected")).toHaveLength(2);
    expect(names().at(-1)).toBe("closed");
  });

  test("telemetry: sent, acknowledged, sent again, dropped", async () => {
    const { hub, client, of } = await world();
    hub.delayAcks(250);
    const slow = client.sendTelemetry("12345");
    await hub.clock.advance(250);
    await slow;
    const end = hub.dropAcks();
    const twice = client.sendTelemetry("again");
    await hub.clock.until(() => hub.telemetry.length === 2);
    end();
    hub.cut();
    await hub.clock.until(() => of("acknowledged").length === 2);
    await twice;
    const aborting = new AbortController();
    hub.goOffline();
    await hub.clock.until(() => client.status().state === "waiting");
    const never = client.sendTelemetry("never", { signal: aborting.signal, messageId: "m7" });
    const rejected = expect(never).rejects.toMatchObject({ code: "call.aborted" });
    aborting.abort();
    await rejected;
    await client.close();
    expect(of("sent").map(({ bytes, qos, again }) => [bytes, qos, again])).toEqual([
      [5, 1, false],
      [5, 1, false],
      [5, 1, true],
    ]);
    expect(of("acknowledged")[0]?.roundTripMs).toBe(250);
    expect(of("dropped")).toMatchObject([{ reason: "aborted", messageId: "m7" }]);
  });

  test("what the hub asks: cloud-to-device messages, methods, twins", async () => {
    const { hub, client, of } = await world({
      onMessage: (message) => {
        if (message.text() === "bad") throw new Error("no");
      },
      methods: { ping: () => ({ status: 202 }) },
    });
    await hub.clock.advance(0);
    const sent = hub.sendC2d("good", { messageId: "m1" });
    await hub.clock.until(() => sent.state === "completed");
    hub.sendC2d("bad", { messageId: "m2" });
    await hub.clock.advance(0);
    await hub.invokeMethod("ping");
    await hub.invokeMethod("missing");
    await client.getTwin();
    await client.reportProperties({ a: 1 });
    const throttled = hub.throttleTwin();
    const asked = client.getTwin({ timeoutMs: 1_000 });
    const refused = expect(asked).rejects.toMatchObject({ code: expect.any(String) as string });
    await hub.clock.advance(1_000);
    await refused;
    throttled();
    await client.close();
    expect(of("c2d").map(({ what, messageId }) => [what, messageId])).toEqual([
      ["received", "m1"],
      ["completed", "m1"],
      ["received", "m2"],
      ["failed", "m2"],
    ]);
    expect(of("method").map(({ name, status }) => [name, status])).toEqual([
      ["ping", 202],
      ["missing", 404],
    ]);
    const twin = of("twin").map(({ what, status }) => [what, status]);
    expect(twin.slice(0, 3)).toEqual([
      ["get", 200],
      ["report", 204],
      ["get", 429],
    ]);
    expect(of("throttled")[0]).toMatchObject({ what: "twinGet" });
    expect(of("error").map(({ where }) => where)).toEqual(["onMessage"]);
  });

  test("a renewed token: renewal, and connected as renewed", async () => {
    const { hub, client, of } = await world({ tokenLifetimeS: 100 });
    await hub.clock.advance(100_000);
    await client.close();
    expect(of("renewal").length).toBeGreaterThan(0);
    expect(of("connected").map(({ renewed }) => renewed)).toEqual([
      false,
      ...of("renewal").map(() => true),
    ]);
    expect(of("disconnected")).toEqual([]);
  });

  test("no event holds the key, a token, a body or a property value", async () => {
    const { hub, client, heard, key } = await world({
      tokenLifetimeS: 100,
      onMessage: () => undefined,
      methods: { ping: () => ({ payload: "answer-body" }) },
    });
    await client.sendTelemetry("telemetry-body", { properties: { name: "property-value" } });
    hub.sendC2d("c2d-body", { properties: { name: "property-value" } });
    await hub.clock.advance(0);
    await hub.invokeMethod("ping", "request-body");
    hub.setDesired({ name: "property-value" });
    await client.reportProperties({ name: "property-value" });
    await hub.clock.advance(100_000);
    hub.refuse(5, { times: 1 });
    hub.cut();
    await hub.clock.until(() => client.status().state === "connected");
    await client.close();
    const shown = inspect(heard, { depth: 20, showHidden: true, maxStringLength: null });
    expect(heard.length).toBeGreaterThan(10);
    const secrets = [key, "sig=", "SharedAccessSignature", "-body", "property-value"];
    for (const secret of secrets) expect(shown).not.toContain(secret);
  });

  test("without subscribers no event is made", async () => {
    const hub = fakeHub();
    const client = await connect(hub.connectOptions("d1"));
    await client.sendTelemetry("one");
    for (const channel of Object.values(channels)) expect(channel.hasSubscribers).toBe(false);
    await client.close();
  });
});
