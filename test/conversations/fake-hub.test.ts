/**
 * The hub in memory that users test with (`@hubwire/device/testing`) against the hub itself: the same device and back end play
 * the same round with both, and must see the same, at the same virtual times.
 */
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { connect, type DeviceClient } from "@hubwire/device";
import { coreSide, fakeSide, type HubSide } from "./hub-sides.ts";

type Play = { side: HubSide; client: DeviceClient; note: (what: string, detail?: unknown) => void };
type Step = (play: Play) => Promise<void> | void;

/** What a promise came to, in words that do not depend on who made them. */
const outcome = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => value ?? "done",
    (error: { code: string }) => error.code,
  );

/** Plays the steps, a second of virtual time after each; what device and back end saw, with the time they saw it. */
async function play(side: HubSide, steps: readonly Step[]): Promise<unknown[]> {
  const { clock } = side;
  const seen: unknown[] = [];
  const note: Play["note"] = (what, detail) => {
    seen.push([clock.nowMs(), what, detail]);
  };
  const client = await connect({
    ...side.connectOptions,
    tokenLifetimeS: 600,
    callTimeoutMs: 30_000,
    onMessage: (message) => {
      note("message", [
        message.text(),
        { ...message.properties },
        message.messageId,
        message.redelivered,
      ]);
      if (message.text().startsWith("twice") && !message.redelivered) throw new Error("once more");
    },
    methods: {
      echo: ({ payload }) => ({ status: 201, payload }),
      nothing: () => undefined,
      broken: () => {
        throw new Error("no");
      },
      hang: () => new Promise(() => {}),
    },
    onStatus: (status) => {
      const cause = "cause" in status ? status.cause?.code : undefined;
      const session = status.state === "connected" ? status.sessionPresent : undefined;
      note("status", [status.state, cause, session]);
    },
    onError: () => undefined,
  });
  void (async () => {
    for await (const { patch, version } of client.desiredProperties())
      note("desired", [patch, version]);
  })();
  for (const step of steps) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await step({ side, client, note });
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await clock.advance(1_000);
  }
  note("twin", await side.twin());
  note("waiting", await side.c2dCount());
  note("telemetry", await side.telemetry());
  note("stats", shared(client));
  const closing = client.close({ timeoutMs: 1_000 });
  await clock.advance(1_000);
  await closing;
  // At one moment the order among different observers is nobody's promise.
  return seen.map((one) => JSON.stringify(one)).toSorted(byTime);
}

/** Keeps the order of what one observer saw. */
const byTime = (one: string, other: string): number => {
  const [a, b] = [one, other].map((text) => JSON.parse(text) as [number, string]) as [
    [number, string],
    [number, string],
  ];
  if (a[0] !== b[0]) return a[0] - b[0];
  return a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0;
};

const shared = (client: DeviceClient): unknown => {
  const { roundTrip: _, limits: _limits, ...counts } = client.stats();
  return counts;
};

const tell =
  (what: string, act: (play: Play) => Promise<unknown>): Step =>
  (play) => {
    void outcome(act(play)).then((result) => play.note(what, result));
  };

const rounds: [name: string, steps: Step[]][] = [
  [
    "telemetry of all kinds",
    [
      tell("json", ({ client }) => client.sendTelemetry({ t: 21.5 }, { messageId: "m1" })),
      tell("text", ({ client }) =>
        client.sendTelemetry("ü & =", { properties: { "a b": "c/d?e" } }),
      ),
      tell("qos 0", ({ client }) => client.sendTelemetry(new Uint8Array([1, 2, 3]), { qos: 0 })),
      tell("empty", ({ client }) => client.sendTelemetry("", { properties: { only: "" } })),
      tell("largest", ({ client }) => client.sendTelemetry("x".repeat(256 * 1024))),
      tell("too large", ({ client }) => client.sendTelemetry("x".repeat(256 * 1024 + 1))),
      ({ client, note }) => {
        for (let i = 0; i < 50; i++) {
          void outcome(client.sendTelemetry(String(i))).then((result) => note(`#${i}`, result));
        }
      },
    ],
  ],
  [
    "cloud-to-device messages: in order, left alone, sent while the device is away",
    [
      ({ side }) => side.sendC2d("one", { why: "because" }, "c1"),
      ({ side }) => side.sendC2d("two", {}, "c2"),
      ({ side }) => side.sendC2d("twice 1", {}, "c3"),
      ({ side }) => side.sendC2d("behind", {}, "c4"),
      ({ side }) => side.clock.advance(58_000),
      ({ side }) => side.clock.advance(2_000),
      ({ side }) => side.sendC2d("twice 2", {}, "c5"),
      ({ side }) => side.cut(),
      ({ side }) => side.clock.advance(30_000),
      async ({ side }) => {
        side.cut();
        // The hub has to notice, or it sends the message into the cut.
        await side.clock.advance(0);
        await side.sendC2d("while away", { x: "y" }, "c6");
      },
      ({ side }) => side.clock.advance(30_000),
    ],
  ],
  [
    "direct methods: answers, failures, time-outs, a connection that goes",
    [
      tell("echo", ({ side }) => side.invokeMethod("echo", { a: [1, null, "x"] }, 30)),
      tell("nothing", ({ side }) => side.invokeMethod("nothing", null, 30)),
      tell("unknown", ({ side }) => side.invokeMethod("unknown", 1, 30)),
      tell("broken", ({ side }) => side.invokeMethod("broken", 1, 30)),
      tell("hang", ({ side }) => side.invokeMethod("hang", 1, 5)),
      ({ side }) => side.clock.advance(5_000),
      tell("cut", ({ side }) => side.invokeMethod("hang", 1, 30)),
      ({ side }) => side.cut(),
      tell("away or back", ({ side }) => side.invokeMethod("echo", 2, 30)),
      ({ side }) => side.clock.advance(40_000),
      tell("back", ({ side }) => side.invokeMethod("echo", 3, 30)),
    ],
  ],
  [
    "twins: both directions, refusals, what was missed",
    [
      ({ side }) => side.setDesired({ interval: 10, nested: { a: 1, b: 2 } }),
      tell("get", ({ client }) => client.getTwin()),
      tell("report", ({ client }) => client.reportProperties({ interval: 10, deep: { x: 1 } })),
      tell("delete", ({ client }) => client.reportProperties({ deep: { x: null, y: [1] } })),
      tell("bad key", ({ client }) => client.reportProperties({ "a.b": 1 })),
      tell("too much", ({ client }) =>
        client.reportProperties(
          Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, "x".repeat(4_000)])),
        ),
      ),
      ({ side }) => side.setDesired({ nested: { a: null } }),
      ({ side }) => side.cut(),
      ({ side }) => side.setDesired({ missed: true }),
      ({ side }) => side.clock.advance(40_000),
      ({ side }) => side.setDesired({ missed: null, interval: 11 }),
    ],
  ],
  [
    "the connection: cut, token renewed, disabled and enabled again",
    [
      ({ side }) => side.cut(),
      ({ side }) => side.clock.advance(60_000),
      tell("before renewal", ({ client }) => client.sendTelemetry("a")),
      ({ side }) => side.clock.advance(600_000),
      tell("after renewal", ({ client }) => client.sendTelemetry("b")),
      ({ side }) => side.disable(true),
      ({ side }) => side.clock.advance(20_000),
      ({ side }) => side.disable(false),
      ({ side }) => side.clock.advance(60_000),
      tell("enabled again", ({ client }) => client.sendTelemetry("c")),
    ],
  ],
];

test.each(rounds)("%s", async (_name, steps) => {
  const fake = await play(await fakeSide(), steps);
  const real = await play(await coreSide(), steps);
  expect(fake.length).toBeGreaterThan(steps.length / 2);
  expect(fake).toEqual(real);
});

test("the comparison sees a difference", async () => {
  const [, steps] = rounds[0]!;
  const fake = await play(await fakeSide(), steps);
  const cut = await play(await coreSide(), [({ side }) => side.cut(), ...steps]);
  expect(isDeepStrictEqual(fake, cut)).toBe(false);
});
