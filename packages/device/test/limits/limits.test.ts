import { describe, expect, test } from "vitest";
import { connect } from "@hubwire/device";
import type { DeviceOptions } from "@hubwire/device";
import { fakeHub } from "@hubwire/device/testing";
import { Outcome } from "../support/world.ts";

async function world(options: DeviceOptions = {}) {
  const hub = fakeHub({ wallMs: Date.UTC(2026, 4, 20, 23) });
  const client = await connect({ ...hub.connectOptions("d1"), ...options });
  return { hub, client };
}

describe("rate limit of a client", () => {
  test("telemetry leaves at its rate, in order, and nobody is told but stats()", async () => {
    const { hub, client } = await world({ rateLimit: { telemetryPerS: 2 } });
    const all = Array.from({ length: 10 }, (_, i) => client.sendTelemetry(String(i)));
    await hub.clock.advance(0);
    expect(hub.telemetry).toHaveLength(2);
    await hub.clock.advance(2_000);
    expect(hub.telemetry).toHaveLength(6);
    await hub.clock.advance(2_000);
    await Promise.all(all);
    expect(hub.telemetry.map((message) => message.text()).join("")).toBe("0123456789");
    expect(client.stats().limits.waits).toBeGreaterThan(0);
    await client.close();
  });

  test("a wait for the rate ends with the call's own time", async () => {
    const { hub, client } = await world({ rateLimit: { telemetryPerS: 0.01 } });
    await client.sendTelemetry("first");
    const second = new Outcome(client.sendTelemetry("second", { timeoutMs: 5_000 }));
    await hub.clock.advance(5_000);
    expect(second.code).toBe("call.timeout");
    await hub.clock.advance(100_000);
    expect(hub.telemetry).toHaveLength(1);
    await client.close();
  });

  test("twin requests have their own rates", async () => {
    const { hub, client } = await world({ rateLimit: { twinReadsPerS: 1, twinUpdatesPerS: 1 } });
    await client.getTwin();
    await client.reportProperties({ a: 1 });
    const second = new Outcome(client.getTwin());
    await hub.clock.advance(999);
    expect(second.isSettled).toBe(false);
    await hub.clock.advance(1);
    expect(second.code).toBe("value");
    await client.close();
  });
});

describe("daily budget of a client", () => {
  test("wait: what is over it leaves after midnight UTC", async () => {
    const { hub, client } = await world({ dailyMessagesMax: 3, callTimeoutMs: 7_200_000 });
    const sending = ["a", "b", "c", "d"].map((text) => client.sendTelemetry(text));
    await hub.clock.advance(3_590_000);
    expect(hub.telemetry).toHaveLength(3);
    expect(client.stats().limits.budget).toMatchObject({ limit: 3, used: 3, left: 0 });
    await hub.clock.advance(10_000);
    await Promise.all(sending);
    expect(hub.telemetry.map((message) => message.text())).toEqual(["a", "b", "c", "d"]);
    expect(client.stats().limits.budget).toMatchObject({ used: 1 });
    await client.close();
  });

  test("refuse: device.budget_spent at once, until midnight", async () => {
    const { hub, client } = await world({ dailyMessagesMax: 2, whenSpent: "refuse" });
    await client.sendTelemetry("x".repeat(5_000));
    await expect(client.sendTelemetry("more")).rejects.toMatchObject({
      code: "device.budget_spent",
      retryable: true,
    });
    await expect(client.getTwin()).rejects.toMatchObject({ code: "device.budget_spent" });
    await expect(client.reportProperties({ a: 1 })).rejects.toMatchObject({
      code: "device.budget_spent",
    });
    await expect(client.enqueue("more")).rejects.toMatchObject({ code: "device.budget_spent" });
    await expect(client.sendTelemetryBatch([{ body: "more" }])).rejects.toMatchObject({
      code: "device.budget_spent",
    });
    expect(client.stats().limits.refused).toBe(5);
    await hub.clock.advance(3_600_000);
    await client.sendTelemetry("a new day");
    expect(hub.telemetry).toHaveLength(2);
    await client.close();
  });

  test("cloud-to-device messages and methods count, and are not held back", async () => {
    const { hub, client } = await world({
      dailyMessagesMax: 1,
      onMessage: () => undefined,
      methods: { ping: () => ({ status: 200 }) },
    });
    await hub.clock.advance(0);
    const sent = hub.sendC2d("hello");
    await hub.clock.until(() => sent.state === "completed");
    expect(await hub.invokeMethod("ping")).toMatchObject({ status: 200 });
    expect(client.stats().limits.budget?.used).toBeGreaterThanOrEqual(2);
    await client.close();
  });
});

test("a twin request answered 429 slows the next ones down, telemetry goes on", async () => {
  const { hub, client } = await world();
  hub.throttleTwin({ times: 1 });
  const first = new Outcome(client.getTwin());
  await hub.clock.advance(0);
  expect(client.stats()).toMatchObject({ throttled: 1, limits: { twinShare: 0.5 } });
  const second = new Outcome(client.getTwin());
  await client.sendTelemetry("unhindered");
  await hub.clock.advance(9_999);
  expect(second.isSettled).toBe(false);
  await hub.clock.advance(10_000);
  expect(second.code).toBe("value");
  expect(["value", "device.twin_throttled"]).toContain(first.code);
  await hub.clock.advance(200_000);
  expect(client.stats().limits.twinShare).toBe(1);
  await client.close();
});
