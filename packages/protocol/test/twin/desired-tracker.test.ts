import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  applyDesiredPatch,
  applyTwinPatch,
  DesiredTracker,
  freshTwin,
  twinForDevice,
} from "../../src/twin/index.ts";
import type { DesiredEffect, JsonObject, JsonValue } from "../../src/twin/index.ts";
import { iotErrorOf } from "../expect-iot-error.ts";
import "../long-runs.ts";

const types = (effects: readonly DesiredEffect[]): string[] =>
  effects.map((effect) => (effect.type === "get" ? `get ${effect.reason}` : effect.type));
const twinAt = (version: number, members: JsonObject = {}): JsonObject => ({
  desired: { ...members, $version: version },
  reported: { $version: 1 },
});
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("the desired tracker", () => {
  test("starts with a GET and gives the answer as a snapshot", () => {
    const tracker = new DesiredTracker();
    expect(types(tracker.restart())).toEqual(["get start"]);
    expect(tracker.waiting).toBe(true);
    const [snapshot] = tracker.answered(twinAt(3, { a: 1 }));
    expect(plain(snapshot)).toEqual({ type: "snapshot", desired: { a: 1 }, version: 3 });
    expect([tracker.version, tracker.waiting]).toEqual([3, false]);
  });

  test("holds what arrives before the answer and drops what the answer already has", () => {
    const tracker = new DesiredTracker();
    tracker.restart();
    expect(tracker.notified({ a: 2, $version: 2 }, 2)).toEqual([]);
    expect(tracker.notified({ a: 3 }, 3)).toEqual([]);
    expect(tracker.notified({ a: 4 }, 4)).toEqual([]);
    expect(types(tracker.answered(twinAt(3, { a: 3 })))).toEqual(["snapshot", "patch"]);
    expect(plain(tracker.desired)).toEqual({ a: 4 });
    expect(tracker.version).toBe(4);
  });

  test("applies the next version and drops repeats", () => {
    const tracker = new DesiredTracker();
    tracker.restart();
    tracker.answered(twinAt(1, { a: 1, b: 1 }));
    const [patch] = tracker.notified({ a: null, $version: 2 }, 2);
    expect(plain(patch)).toEqual({
      type: "patch",
      patch: { a: null },
      desired: { b: 1 },
      version: 2,
    });
    expect(tracker.notified({ a: null }, 2)).toEqual([]);
    expect(tracker.notified({ a: 9 }, 1)).toEqual([]);
  });

  test("asks again when a version is missing, and goes on from the answer", () => {
    const tracker = new DesiredTracker();
    tracker.restart();
    tracker.answered(twinAt(1));
    expect(types(tracker.notified({ c: 3 }, 3))).toEqual(["get gap"]);
    expect(tracker.notified({ d: 4 }, 4)).toEqual([]);
    expect(types(tracker.answered(twinAt(3, { b: 2, c: 3 })))).toEqual(["snapshot", "patch"]);
    expect(plain(tracker.desired)).toEqual({ b: 2, c: 3, d: 4 });
  });

  test("an answer that is still too old is asked for once more, then what is known is taken", () => {
    const tracker = new DesiredTracker();
    tracker.restart();
    tracker.answered(twinAt(1));
    tracker.notified({ c: 5 }, 5);
    expect(types(tracker.answered(twinAt(1)))).toEqual(["snapshot", "get gap"]);
    expect(types(tracker.answered(twinAt(1)))).toEqual(["snapshot", "patch"]);
    expect([plain(tracker.desired), tracker.version]).toEqual([{ c: 5 }, 5]);
    expect(tracker.waiting).toBe(false);
  });

  test("what was held beyond the bound is fetched again", () => {
    const tracker = new DesiredTracker();
    tracker.restart();
    for (let version = 2; version <= 1000; version++)
      tracker.notified({ [`k${version}`]: 1 }, version);
    expect(types(tracker.answered(twinAt(1)))).toEqual(["snapshot", "get gap"]);
    expect(types(tracker.answered(twinAt(1000)))).toEqual(["snapshot"]);
  });

  test("a restart forgets held notifications: the identity may be a new one with lower versions", () => {
    const tracker = new DesiredTracker();
    tracker.restart();
    tracker.answered(twinAt(50));
    tracker.notified({ a: 1 }, 60);
    tracker.restart();
    expect(types(tracker.answered(twinAt(1, { z: 1 })))).toEqual(["snapshot"]);
    expect(tracker.version).toBe(1);
  });

  test("a second snapshot of the same version does not look like a gap later", () => {
    const tracker = new DesiredTracker();
    tracker.restart();
    tracker.answered(twinAt(4));
    tracker.restart();
    tracker.answered(twinAt(4));
    expect(types(tracker.notified({ a: 1 }, 6))).toEqual(["get gap"]);
  });

  test.each<[string, JsonValue]>([
    ["text", "x"],
    ["no desired", { reported: {} }],
    ["no version", { desired: { a: 1 } }],
    ["a version with a fraction", { desired: { $version: 1.5 } }],
    ["null", null],
  ])("an answer that is no twin is refused: %s", (_, body) => {
    const tracker = new DesiredTracker();
    tracker.restart();
    iotErrorOf(() => tracker.answered(body), "twin.bad_answer");
    iotErrorOf(() => tracker.notified([1], 2), "twin.bad_answer");
    expect(tracker.waiting).toBe(true);
  });

  test("whatever is lost, repeated, or overtaken by answers: in the end the copy is the hub's", () => {
    const now = "2024-01-01T00:00:00.0000000Z";
    type Step = "write" | "lose" | "repeat" | "answer" | "reconnect";
    const steps = fc.array(
      fc.constantFrom<Step>("write", "write", "write", "lose", "repeat", "answer", "reconnect"),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, (script) => {
        const tracker = new DesiredTracker();
        let twin = freshTwin(now);
        let last: { body: JsonObject; version: number } | undefined;
        /** GETs under way, answered with the twin as it was when the hub got them. */
        let answers: JsonObject[] = [];
        const run = (effects: readonly DesiredEffect[]): void => {
          for (const effect of effects) {
            if (effect.type === "get") answers.push(plain(twinForDevice(twin)) as JsonObject);
          }
        };
        const write = (heard: boolean): void => {
          const key = `k${twin.desired.version % 5}`;
          const value = twin.desired.version % 3 === 0 ? null : twin.desired.version;
          const written = applyTwinPatch(twin, { properties: { desired: { [key]: value } } }, now);
          twin = written.twin;
          last = {
            body: plain(written.desiredNotification) as JsonObject,
            version: twin.desired.version,
          };
          if (heard) run(tracker.notified(last.body, last.version));
        };
        const settle = (): void => {
          for (let answer = answers.shift(); answer !== undefined; answer = answers.shift()) {
            run(tracker.answered(answer));
          }
        };
        run(tracker.restart());
        for (const step of script) {
          if (step === "write") write(true);
          else if (step === "lose") write(false);
          else if (step === "repeat" && last !== undefined)
            run(tracker.notified(last.body, last.version));
          else if (step === "answer" && answers.length > 0)
            run(tracker.answered(answers.shift() ?? {}));
          else if (step === "reconnect") {
            answers = [];
            run(tracker.restart());
          }
        }
        // One more change that is heard: it shows every gap there may be.
        write(true);
        settle();
        expect(tracker.version).toBe(twin.desired.version);
        expect(plain(tracker.desired)).toEqual(plain(twin.desired.properties));
        expect(tracker.waiting).toBe(false);
      }),
      { numRuns: process.env["HUBWIRE_LONG"] === "1" ? 20_000 : 300 },
    );
  });

  test("a key called __proto__ is followed like any other", () => {
    const tracker = new DesiredTracker();
    tracker.restart();
    const twin = applyDesiredPatch(freshTwin("t"), JSON.parse('{"__proto__":{"a":1}}'), "t");
    tracker.answered(plain(twinForDevice(twin)) as JsonObject);
    expect(JSON.stringify(tracker.desired)).toBe('{"__proto__":{"a":1}}');
  });
});
