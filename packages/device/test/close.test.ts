import { expect, test } from "vitest";
import type { Clock, Timer } from "@hubwire/transport";
import { Outcome, World } from "./support/world.ts";

test("close finishes what is under way, sends DISCONNECT and then refuses everything by name", async () => {
  const kinds: string[] = [];
  const world = new World({
    onEffect: (effect) => {
      kinds.push(effect.type);
      return undefined;
    },
  });
  const client = await world.connect({ maxInflight: 2 });
  const all = Array.from({ length: 10 }, (_, i) => new Outcome(client.sendTelemetry(`m${i}`)));
  const twin = new Outcome(client.getTwin());
  const closing = client.close();
  expect(client.close()).toBe(closing);
  const refused = new Outcome(client.sendTelemetry("too late"));
  await world.settle(closing);
  expect(all.map(({ code }) => code)).toEqual(Array.from({ length: 10 }, () => "value"));
  expect(twin.code).toBe("value");
  expect(refused.code).toBe("client.closed");
  expect(client.status()).toEqual({ state: "closed" });
  await world.clock.settle();
  expect(kinds.slice(-2)).toEqual(["disconnect", "close"]);
  for (const call of [() => client.getTwin(), () => client.reportProperties({})]) {
    await expect(call()).rejects.toMatchObject({ code: "client.closed" });
  }
  expect(() => client.onMethod("m", () => undefined)).toThrow(
    expect.objectContaining({ code: "client.closed" }),
  );
  const statuses: string[] = [];
  for await (const { state } of client.statusChanges()) statuses.push(state);
  expect(statuses).toEqual(["closed"]);
  // No timer stays behind.
  await world.clock.advance(100_000);
  expect(world.hub.opened).toBe(1);
});

test("close gives up at its time-out, and what was not finished is told so", async () => {
  const world = new World({
    onEffect: (effect) => (effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect();
  const sent = new Outcome(client.sendTelemetry("x"));
  const twin = new Outcome(client.getTwin());
  const closed = new Outcome(client.close({ timeoutMs: 3_000 }));
  await world.clock.advance(2_999);
  expect(closed.code).toBe("pending");
  await world.clock.advance(1);
  expect([closed.code, sent.code, twin.code]).toEqual(["value", "client.closed", "client.closed"]);
});

test("close can be hurried by its signal, and by a time-out of zero", async () => {
  for (const how of ["signal", "zero"] as const) {
    const world = new World({
      onEffect: (effect) => (effect.type === "message" ? "taken" : undefined),
    });
    const client = await world.connect();
    const sent = new Outcome(client.sendTelemetry("x"));
    const controller = new AbortController();
    const closed = new Outcome(
      client.close(how === "signal" ? { signal: controller.signal } : { timeoutMs: 0 }),
    );
    controller.abort();
    await world.clock.advance(1);
    expect([closed.code, sent.code]).toEqual(["value", "client.closed"]);
  }
});

test("close waits for a running method's answer", async () => {
  const world = new World();
  const client = await world.connect({
    methods: { slow: () => world.clock.sleep(1_000).then(() => ({ payload: 1 })) },
  });
  await world.clock.settle();
  world.hub.method("slow", "");
  await world.clock.settle();
  await world.settle(client.close());
  expect(world.hub.methodAnswers).toMatchObject([{ status: 200, text: "1" }]);
});

test("close without a connection: at once when nothing waits, else it tries until its time is over", async () => {
  const world = new World();
  const idle = await world.connect();
  world.hub.cut();
  await world.clock.settle();
  const startMs = world.clock.nowMs();
  await world.settle(idle.close());
  expect(world.clock.nowMs()).toBe(startMs);

  const busy = await world.connect();
  world.hub.cut();
  await world.clock.settle();
  const sent = new Outcome(busy.sendTelemetry("last words"));
  await world.settle(busy.close());
  expect(sent.code).toBe("value");
  expect(world.hub.texts).toEqual(["last words"]);
});

test("close at any moment of connecting leaves nothing behind", async () => {
  for (let step = 0; step < 8; step++) {
    const world = new World({
      onOpen: () => world.clock.sleep(2),
      onEffect: (effect, { driver, session }) => {
        if (effect.type !== "connect") return undefined;
        world.clock.at(world.clock.nowMs() + 2, () => {
          driver.apply(
            session.accept(
              { sessionPresent: false, keepAliveTimeoutMs: 90_000 },
              world.clock.nowMs(),
            ),
          );
        });
        return "taken";
      },
    });
    const client = await world.connect({ waitForConnection: false });
    await world.clock.advance(step);
    await world.settle(client.close({ timeoutMs: 0 }));
    expect(client.status().state).toBe("closed");
    await world.clock.advance(100_000);
    expect(world.hub.connections.every(({ closed }) => closed)).toBe(true);
    expect(world.hub.opened).toBeLessThanOrEqual(1);
  }
});

test("close does not wait for what needs no answer or was given up", async () => {
  const world = new World({
    onEffect: (effect) => (effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect();
  const controller = new AbortController();
  const handed = new Outcome(client.sendTelemetry("x", { qos: 0 }));
  const given = new Outcome(client.sendTelemetry("y", { signal: controller.signal }));
  const late = new Outcome(client.sendTelemetry("z", { timeoutMs: 100 }));
  const closed = new Outcome(client.close());
  await world.clock.advance(50);
  expect(closed.code).toBe("pending");
  controller.abort();
  await world.clock.advance(49);
  expect(closed.code).toBe("pending");
  await world.clock.advance(1);
  expect([handed.code, given.code, late.code, closed.code]).toEqual([
    "value",
    "call.aborted",
    "call.timeout",
    "value",
  ]);
});

test("a closed client has no timer left: it does not keep its process alive", async () => {
  const world = new World();
  const open = new Set<Timer>();
  const clock: Clock = {
    wallMs: () => world.clock.wallMs(),
    nowMs: () => world.clock.nowMs(),
    endOfTurn: (callback) => world.clock.endOfTurn(callback),
    at: (atMs, callback) => {
      const timer = world.clock.at(atMs, () => {
        open.delete(own);
        callback();
      });
      const own = {
        cancel: () => {
          open.delete(own);
          timer.cancel();
        },
      };
      if (atMs !== Infinity) open.add(own);
      return own;
    },
  };
  const client = await world.connect({ clock });
  await world.settle(client.sendTelemetry("x", { timeoutMs: 1_000_000 }));
  await world.settle(client.getTwin());
  const reading = client.desiredProperties();
  await world.settle(reading.next());
  expect(open.size).toBeGreaterThan(0);
  await world.settle(client.close());
  expect(open.size).toBe(0);
});

test("await using closes", async () => {
  const world = new World();
  let state = "";
  const client = await world.connect({ onStatus: (status) => (state = status.state) });
  const scope = async (): Promise<void> => {
    await using scoped = client;
    expect(scoped.status().state).toBe("connected");
  };
  await world.settle(scope());
  expect(state).toBe("closed");
});
