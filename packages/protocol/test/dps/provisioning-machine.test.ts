import fc from "fast-check";
import { expect, test } from "vitest";
import { dpsAnswerTopic, parseDpsRequestTopic, ProvisioningMachine } from "../../src/dps/index.ts";
import type { ProvisioningEffect, ProvisioningMachineOptions } from "../../src/dps/index.ts";
import "../long-runs.ts";

const operationId = "5.a.b";
const bytes = (value: unknown): Uint8Array =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
const assigning = { operationId, status: "assigning" };
const done = {
  operationId,
  status: "assigned",
  registrationState: { status: "assigned", assignedHub: "h.example", deviceId: "dev1" },
};

/** A machine and the service's side of the table, written by hand. */
class Table {
  readonly machine: ProvisioningMachine;
  readonly effects: ProvisioningEffect[] = [];
  nowMs = 0;
  #rids = 0;

  constructor(options: Partial<ProvisioningMachineOptions> = {}) {
    this.machine = new ProvisioningMachine(
      {
        registrationId: "reg1",
        timeoutMs: 60_000,
        random: () => 0.5,
        newRid: () => `r${++this.#rids}`,
        ...options,
      },
      0,
    );
  }

  take(effects: readonly ProvisioningEffect[]): void {
    this.effects.push(...effects);
  }

  connect(): this {
    this.take(this.machine.connected(this.nowMs));
    this.take(this.machine.subscribed([1], this.nowMs));
    return this;
  }

  answer(status: number, body: unknown, retryAfterS?: number, rid = this.rid): this {
    const topic = dpsAnswerTopic(status, rid, retryAfterS);
    this.take(this.machine.message(topic, bytes(body), this.nowMs));
    return this;
  }

  advance(ms: number): this {
    const untilMs = this.nowMs + ms;
    while (this.machine.deadlineMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.machine.deadlineMs);
      this.take(this.machine.tick(this.nowMs));
    }
    this.nowMs = untilMs;
    return this;
  }

  get asked(): string[] {
    const topics = this.effects.flatMap((one) => (one.type === "publish" ? [one.topic] : []));
    return topics.map((topic) => {
      const { type } = parseDpsRequestTopic(topic);
      return type;
    });
  }

  /** Of the latest request. */
  get rid(): string {
    return `r${this.#rids}`;
  }

  get last(): ProvisioningEffect | undefined {
    return this.effects.at(-1);
  }

  get code(): string | undefined {
    return this.last?.type === "failed" ? this.last.error.code : this.last?.type;
  }
}

test("subscribe, register, wait as told, ask, assigned", () => {
  const table = new Table().connect();
  expect(table.effects[0]).toEqual({ type: "subscribe", filter: "$dps/registrations/res/#" });
  table.answer(202, assigning, 3).advance(2_999);
  expect(table.asked).toEqual(["register"]);
  table.advance(1);
  expect(table.asked).toEqual(["register", "status"]);
  expect(table.effects.at(-1)).toMatchObject({ payload: Uint8Array.of(0x20) });
  table.answer(202, assigning, 1).advance(1_000).answer(200, done);
  expect(table.last).toMatchObject({
    type: "assigned",
    registration: { assignedHub: "h.example" },
  });
  expect(table.machine.deadlineMs).toBe(Infinity);
});

test("each request has a request id of its own", () => {
  const table = new Table().connect().answer(202, assigning, 1);
  for (let i = 0; i < 5; i++) table.advance(1_000).answer(202, assigning, 1);
  const rids = table.effects.flatMap((one) =>
    one.type === "publish" ? [/\$rid=([^&]+)/.exec(one.topic)?.[1]] : [],
  );
  expect(new Set(rids).size).toBe(rids.length);
});

test.each([
  ["two seconds when it does not say", undefined, 2_000],
  ["at least one second", 0, 1_000],
])("pauses %s", (_name, retryAfterS, waitMs) => {
  const table = new Table()
    .connect()
    .answer(202, assigning, retryAfterS)
    .advance(waitMs - 1);
  expect(table.asked).toEqual(["register"]);
  expect(table.advance(1).asked).toEqual(["register", "status"]);
});

test("an answer at once is taken", () => {
  expect(new Table().connect().answer(200, done).code).toBe("assigned");
});

test("answers to anything else, and second answers, are ignored", () => {
  const table = new Table().connect();
  table.answer(200, done, undefined, "other").answer(401, {}, undefined, "r0");
  table.take(table.machine.message("$iothub/twin/res/200/?$rid=r1", bytes(done), 0));
  expect(table.machine.ignored).toBe(3);
  table.answer(202, assigning, 3, "r1").answer(401, {}, undefined, "r1");
  expect(table.code).toBe("publish");
  table.advance(3_000).answer(200, done).answer(401, {}, undefined, "r2");
  expect(table.code).toBe("assigned");
});

test.each([
  ["no JSON", 200, "<html>"],
  ["an assignment without a hub", 200, { status: "assigned", registrationState: {} }],
  ["a pending answer without operation", 202, { status: "assigning" }],
])("garbage has a clear code: %s", (_name, status, body) => {
  expect(new Table().connect().answer(status, body).code).toBe("provisioning.bad_answer");
});

test.each([
  [401, { errorCode: 401002 }, "provisioning.unauthorized"],
  [404, {}, "provisioning.enrollment_not_found"],
  [400, "garbage", "provisioning.invalid_request"],
  [200, { status: "failed", registrationState: { status: "failed" } }, "provisioning.failed"],
  [200, { status: "disabled" }, "provisioning.disabled"],
  [200, { status: "unassigned", operationId }, "provisioning.failed"],
])("answer %i %j ends with %s", (status, body, code) => {
  expect(new Table().connect().answer(status, body).code).toBe(code);
});

test("429 and 5xx are waited out: what was asked for, and a random time that grows", () => {
  const table = new Table().connect().answer(429, "", 5);
  expect(table.machine.deadlineMs).toBe(5_000 + 1_500);
  table.advance(6_500).answer(500, "");
  // The ceiling doubles with each failure: 2 s, 4 s, 8 s; half way between it and 1 s.
  expect(table.machine.deadlineMs).toBe(table.nowMs + 2_500);
  table.advance(2_500).answer(503, "", 1);
  expect(table.machine.deadlineMs).toBe(table.nowMs + 1_000 + 4_500);
  expect(table.advance(5_500).asked).toEqual(["register", "register", "register", "register"]);
});

test("many devices that are sent away together come back at different times", () => {
  const times = new Set<number>();
  for (let i = 0; i < 100; i++) {
    const table = new Table({ random: () => i / 100 }).connect().answer(429, "", 5);
    times.add(table.machine.deadlineMs);
  }
  expect(times.size).toBeGreaterThan(90);
  expect(Math.min(...times)).toBeGreaterThanOrEqual(5_000);
});

test("a pause longer than its time is not sat out, and told to whoever drives it", () => {
  const table = new Table({ timeoutMs: 10_000 }).connect().answer(429, "", 60);
  expect(table.last).toMatchObject({ type: "failed", retryAtMs: 61_500 });
  expect(table.code).toBe("provisioning.throttled");
});

test("429 while asking for the state keeps the operation; a forgotten operation is begun anew", () => {
  const table = new Table().connect().answer(202, assigning, 1).advance(1_000);
  table.answer(429, "").advance(1_500);
  expect(table.asked).toEqual(["register", "status", "status"]);
  table.answer(404, { errorCode: 404204 }).advance(2_500);
  expect(table.asked).toEqual(["register", "status", "status", "register"]);
});

test("no answer: the connection is given up, and on the next one the same is asked again", () => {
  const table = new Table().connect().answer(202, assigning, 1).advance(31_000);
  expect(table.last).toMatchObject({ type: "reconnect", cause: { code: "provisioning.timeout" } });
  table.connect();
  expect(table.asked).toEqual(["register", "status", "status"]);
  // What the old connection still brings is no answer.
  table.answer(401, {}, undefined, "r2");
  expect(table.answer(200, done).code).toBe("assigned");
});

test("no SUBACK is no answer either, and a refused subscription is said so", () => {
  const silent = new Table();
  silent.take(silent.machine.connected(0));
  expect(silent.advance(30_000).code).toBe("reconnect");
  const refused = new Table();
  refused.take(refused.machine.connected(0));
  refused.take(refused.machine.subscribed([0x80], 0));
  expect(refused.code).toBe("provisioning.subscription_refused");
});

test("it settles by its deadline without any connection, and tells what went wrong last", () => {
  expect(new Table().advance(60_000).code).toBe("provisioning.timeout");
  const busy = new Table({ timeoutMs: 20_000, answerTimeoutMs: 60_000 }).connect();
  busy.answer(500, { message: "melting" }).advance(20_000);
  expect(busy.last).toMatchObject({
    error: { code: "provisioning.timeout", cause: { code: "provisioning.unavailable" } },
  });
});

test("whatever comes, it ends once and by its deadline", () => {
  const body = fc.oneof(
    fc.constantFrom<unknown>(assigning, done, { status: "failed" }, "", "{}", "[1]"),
    fc.json(),
  );
  const event = fc.record({
    waitMs: fc.nat(40_000),
    what: fc.constantFrom("answer", "stale", "lost", "connect"),
    status: fc.constantFrom(200, 202, 202, 202, 302, 401, 404, 429, 500, 503),
    body,
    retryAfterS: fc.option(fc.nat(20), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 30 }), (events) => {
      const table = new Table({ timeoutMs: 120_000, random: () => 0 });
      for (const { waitMs, what, status, body: text, retryAfterS } of events) {
        table.advance(waitMs);
        if (what === "lost") table.machine.lost(table.nowMs);
        else if (what === "connect") {
          table.machine.lost(table.nowMs);
          table.connect();
        } else table.answer(status, text, retryAfterS, what === "stale" ? "old" : table.rid || "r");
      }
      table.advance(200_000);
      const ends = table.effects.filter(({ type }) => type === "assigned" || type === "failed");
      expect(ends).toHaveLength(1);
      expect(table.last).toBe(ends[0]);
      expect(table.machine.isOver).toBe(true);
      expect(table.machine.deadlineMs).toBe(Infinity);
    }),
  );
});
