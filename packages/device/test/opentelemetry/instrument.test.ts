import { metrics, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { afterEach, describe, expect, test } from "vitest";
import { connect } from "@hubwire/device";
import type { DeviceOptions } from "@hubwire/device";
import { instrument } from "@hubwire/device/opentelemetry";
import type { InstrumentOptions, Instrumentation } from "@hubwire/device/opentelemetry";
import { fakeHub } from "@hubwire/device/testing";
import { meterProvider, RecordingMeter, RecordingTracer, tracerProvider } from "./recording-api.ts";

let running: Instrumentation | undefined;
afterEach(() => running?.stop());

async function world(options: DeviceOptions = {}, attributes?: InstrumentOptions["attributes"]) {
  const meter = new RecordingMeter();
  const tracer = new RecordingTracer();
  running = await instrument({
    meter,
    tracer,
    ...(attributes === undefined ? {} : { attributes }),
  });
  const hub = fakeHub();
  const open = () => connect({ ...hub.connectOptions("d1"), onError: () => undefined, ...options });
  return { hub, meter, tracer, open, client: await open() };
}

const d1 = { "hubwire.hub": "fake-hub.example", "hubwire.device.id": "d1" };

describe("OpenTelemetry metrics", () => {
  test("counters and levels are read from stats() when the meter asks", async () => {
    const { hub, meter, client } = await world();
    await client.sendTelemetry("one");
    const end = hub.dropAcks();
    const second = client.sendTelemetry("two");
    await hub.clock.until(() => hub.telemetry.length === 2);
    expect(meter.value("messages.sent", d1)).toBe(2);
    expect(meter.value("messages.acknowledged", d1)).toBe(1);
    expect(meter.value("queue.messages", d1)).toBe(1);
    expect(meter.value("queue.size", d1)).toBeGreaterThan(0);
    expect(meter.value("connects", d1)).toBe(1);
    end();
    hub.cut();
    await hub.clock.until(() => meter.value("messages.acknowledged") === 2);
    await second;
    expect(meter.value("messages.resent", d1)).toBe(1);
    expect(meter.value("reconnects", d1)).toBe(1);
    await client.close();
  });

  test("a counter does not fall when a client is closed and another one opened", async () => {
    const { meter, client, open } = await world();
    await client.sendTelemetry("one");
    await client.close();
    expect(meter.value("messages.sent", d1)).toBe(1);
    expect(meter.value("queue.messages", d1)).toBe(0);
    const again = await open();
    await again.sendTelemetry("two");
    expect(meter.value("messages.sent", d1)).toBe(2);
    expect(meter.collect().filter(({ name }) => name === "hubwire.device.connects")).toHaveLength(
      1,
    );
    await again.close();
  });

  test("dropped messages have their reason as an attribute", async () => {
    const { hub, meter, client } = await world();
    hub.goOffline();
    const sending = client.sendTelemetry("late", { timeoutMs: 1_000 });
    const rejected = expect(sending).rejects.toMatchObject({ code: "call.timeout" });
    await hub.clock.advance(2_000);
    await rejected;
    expect(meter.value("messages.dropped", { ...d1, reason: "timed_out" })).toBe(1);
    expect(meter.value("messages.dropped", { ...d1, reason: "expired" })).toBe(0);
    await client.close();
  });

  test("durations are histograms in seconds", async () => {
    const { hub, meter, client } = await world({ methods: { ping: () => ({ status: 202 }) } });
    hub.delayAcks(1_500);
    const sending = client.sendTelemetry("slow");
    await hub.clock.advance(1_500);
    await sending;
    await hub.invokeMethod("ping");
    await client.getTwin();
    expect(meter.recorded).toEqual([
      { name: "hubwire.device.messages.round_trip", value: 1.5, attributes: d1 },
      {
        name: "hubwire.device.method.duration",
        value: 0,
        attributes: { ...d1, method: "ping", status: 202 },
      },
      {
        name: "hubwire.device.twin.duration",
        value: 0,
        attributes: { ...d1, operation: "get", status: 200 },
      },
    ]);
    expect(meter.names.get("hubwire.device.messages.round_trip")).toBe("s");
    await client.close();
  });

  test("fewer attributes: devices are added up", async () => {
    const { meter, client, hub } = await world({}, () => ({ fleet: "test" }));
    const other = await connect(hub.connectOptions("d2"));
    await Promise.all([client.sendTelemetry("a"), other.sendTelemetry("b")]);
    const sent = meter.collect().filter(({ name }) => name === "hubwire.device.messages.sent");
    expect(sent).toEqual([
      { name: "hubwire.device.messages.sent", attributes: { fleet: "test" }, value: 2 },
    ]);
    await Promise.all([client.close(), other.close()]);
  });

  test("after stop nothing is recorded or read", async () => {
    const { meter, client } = await world();
    running?.stop();
    await client.sendTelemetry("unseen");
    expect(meter.recorded).toEqual([]);
    expect(meter.isObserving).toBe(false);
    await client.close();
  });

  test("a meter that fails is one warning, and the device goes on", async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning.message);
    process.on("warning", onWarning);
    const meter = new RecordingMeter();
    meter.createHistogram = () => ({
      record: () => {
        throw new Error("broken exporter");
      },
    });
    running = await instrument({ meter });
    const hub = fakeHub();
    const client = await connect(hub.connectOptions("d1"));
    await client.sendTelemetry("one");
    await client.sendTelemetry("two");
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", onWarning);
    expect(warnings).toEqual([expect.stringContaining("broken exporter")]);
    await client.close();
  });
});

describe("OpenTelemetry spans", () => {
  test("methods and twin requests, failures marked", async () => {
    const { hub, tracer, client } = await world({
      methods: {
        fine: () => undefined,
        broken: () => {
          throw new Error("no");
        },
      },
    });
    await hub.clock.advance(0);
    await hub.invokeMethod("fine");
    await hub.invokeMethod("broken");
    await client.reportProperties({ a: 1 });
    const shown = tracer.spans.map(({ name, options, status }) => [
      name,
      options.kind,
      options.attributes?.["status"],
      status?.code,
    ]);
    expect(shown).toEqual([
      ["method fine", SpanKind.SERVER, 200, undefined],
      ["method broken", SpanKind.SERVER, 500, SpanStatusCode.ERROR],
      ["twin report", SpanKind.CLIENT, 204, undefined],
    ]);
    await client.close();
  });

  test("an outage is one span, named after its cause", async () => {
    const { hub, tracer, client } = await world();
    const online = hub.goOffline();
    await hub.clock.advance(60_000);
    expect(tracer.spans).toEqual([]);
    online();
    await hub.clock.until(() => client.status().state === "connected");
    expect(tracer.spans).toMatchObject([
      { name: "outage", options: { kind: SpanKind.INTERNAL }, status: undefined },
    ]);
    expect(tracer.spans[0]?.options.attributes?.["error.type"]).toBe("device.connection_lost");
    await client.close();
    expect(tracer.spans).toHaveLength(1);
  });
});

test("without meter and tracer the global ones of the API are used", async () => {
  const meter = new RecordingMeter();
  const tracer = new RecordingTracer();
  metrics.setGlobalMeterProvider(meterProvider(meter));
  trace.setGlobalTracerProvider(tracerProvider(tracer));
  running = await instrument();
  const hub = fakeHub();
  const client = await connect({ ...hub.connectOptions("d1"), methods: { ping: () => undefined } });
  await hub.clock.advance(0);
  await client.sendTelemetry("one");
  await hub.invokeMethod("ping");
  expect(meter.value("messages.sent", d1)).toBe(1);
  expect(tracer.spans.map(({ name }) => name)).toEqual(["method ping"]);
  await client.close();
  metrics.disable();
  trace.disable();
});
