import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import vectors from "../../../../vectors/topics.json" with { type: "json" };
import * as iothub from "../../src/iothub/index.ts";
import type { DeviceIdentity, DeviceTopic, HubTopic } from "../../src/iothub/index.ts";
import { iotErrorOf } from "../expect-iot-error.ts";
import "../long-runs.ts";

const { parseDeviceFilter, parseDeviceTopic, parseHubTopic } = iothub;

describe("topics a device publishes to", () => {
  test.each(vectors.device)("$name", ({ topic, identity, parsed }) => {
    expect(parseDeviceTopic(topic, identity as DeviceIdentity)).toEqual(parsed);
  });

  test.each(vectors.foreign)("foreign: $name", ({ topic, identity, fatal }) => {
    const read = parseDeviceTopic(topic, identity as DeviceIdentity);
    expect(read).toMatchObject({ type: "foreign", fatal });
  });
});

describe("topics a hub publishes to", () => {
  test.each(vectors.hub)("$name", ({ topic, parsed }) => {
    expect(parseHubTopic(topic)).toEqual(parsed);
  });

  test.each(vectors.unknown)("%j is unknown", (topic) => {
    expect(parseHubTopic(topic).type).toBe("unknown");
  });
});

test.each(vectors.filters)("the filter $filter is $type ($source)", (vector) => {
  expect(parseDeviceFilter(vector.filter, vector.identity).type).toBe(vector.type);
});

const identities = fc.record(
  {
    deviceId: fc.stringMatching(/^[A-Za-z0-9\-.+%_#*?!(),:=@$']{1,20}$/),
    moduleId: fc.stringMatching(/^[A-Za-z0-9\-.]{1,20}$/),
  },
  { requiredKeys: ["deviceId"] },
);
const bag = fc.stringMatching(/^[A-Za-z0-9%=&.]{0,30}$/);
const rid = fc.stringMatching(/^[A-Za-z0-9\-:=$.]{1,40}$/);
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const version = fc.nat(2 ** 31);

describe("what one side writes the other reads", () => {
  test("from the device", () => {
    fc.assert(
      fc.property(identities, bag, rid, int32, version, (identity, text, id, status, at) => {
        const written: [string, DeviceTopic][] = [
          [iothub.telemetryTopic(identity, text), { type: "telemetry", bag: text }],
          [iothub.methodResponseTopic(status, id), { type: "methodResponse", status, rid: id }],
          [iothub.twinGetTopic(id), { type: "twinGet", rid: id }],
          [iothub.twinReportTopic(id), { type: "twinReport", rid: id }],
          [iothub.twinReportTopic(id, at), { type: "twinReport", rid: id, version: at }],
          [iothub.certificateIssueTopic(id), { type: "certificateIssue", rid: id }],
        ];
        for (const [topic, read] of written)
          expect(parseDeviceTopic(topic, identity)).toEqual(read);
      }),
    );
  });

  test("from the hub", () => {
    const method = fc.stringMatching(/^[A-Za-z0-9*_.%!-]{1,20}$/);
    fc.assert(
      fc.property(
        identities,
        bag,
        rid,
        int32,
        version,
        method,
        (who, text, id, status, at, name) => {
          const written: [string, HubTopic][] = [
            [iothub.c2dTopic(who, text), { type: "c2d", ...who, bag: text }],
            [iothub.methodRequestTopic(name, id), { type: "method", name, rid: id }],
            [iothub.twinResponseTopic(status, id), { type: "twinResponse", status, rid: id }],
            [
              iothub.twinResponseTopic(status, id, at),
              { type: "twinResponse", status, rid: id, version: at },
            ],
            [iothub.desiredTopic(at), { type: "desired", version: at }],
            [
              iothub.certificateResponseTopic(status, id),
              { type: "certificateResponse", status, rid: id },
            ],
          ];
          for (const [topic, read] of written) expect(parseHubTopic(topic)).toEqual(read);
          const { deviceId, moduleId } = who;
          if (moduleId === undefined) return;
          const module = { deviceId, moduleId };
          expect(parseHubTopic(iothub.moduleInputTopic(module, "in", text))).toEqual({
            type: "moduleInput",
            ...module,
            input: "in",
            bag: text,
          });
        },
      ),
    );
  });

  test("filters", () => {
    fc.assert(
      fc.property(identities, (identity) => {
        const own: [string, string][] = [
          [iothub.c2dFilter(identity), "c2d"],
          [iothub.methodsFilter, "methods"],
          [iothub.twinResponsesFilter, "twinResponses"],
          [iothub.desiredFilter, "desired"],
          [iothub.credentialsFilter, "credentials"],
        ];
        for (const [filter, type] of own) {
          expect(parseDeviceFilter(filter, identity).type).toBe(type);
        }
      }),
    );
    const module = { deviceId: "d", moduleId: "m" };
    expect(parseDeviceFilter(iothub.moduleInputsFilter(module), module).type).toBe("moduleInputs");
  });
});

test("no text makes a parser throw, and none lets a device pose as another", () => {
  const levels =
    "devices/ dev1 dev2 /messages/ events/ devicebound/ modules/ $iothub/ twin/ GET/ res/ methods/ POST/ ?$rid= 1 &$version= # + /";
  const piece = fc.constantFrom(...levels.split(" "));
  const topic = fc.oneof(
    fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join("")),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(topic, (text) => {
      const read = parseDeviceTopic(text, { deviceId: "dev1" });
      if (read.type === "telemetry") expect(text).toMatch(/^devices\/dev1\/messages\/events(\/|$)/);
      parseHubTopic(text);
      const filter = parseDeviceFilter(text, { deviceId: "dev1" });
      if (filter.type === "c2d")
        expect(text).toMatch(/^devices\/(dev1|\+)\/messages\/devicebound\/#$/);
    }),
  );
});

describe("parts that would break a topic are refused", () => {
  test.each([
    ["rid with ampersand", () => iothub.twinGetTopic("a&b")],
    ["rid with slash", () => iothub.twinGetTopic("a/b")],
    ["empty rid", () => iothub.twinGetTopic("")],
    ["rid with NUL", () => iothub.twinGetTopic("a\u0000")],
    ["rid with a lone surrogate", () => iothub.twinGetTopic("\ud800")],
    ["method name with wildcard", () => iothub.methodRequestTopic("a#", "1")],
    ["status with a fraction", () => iothub.methodResponseTopic(1.5, "1")],
    ["status of 33 bits", () => iothub.methodResponseTopic(2 ** 31, "1")],
    ["negative version", () => iothub.desiredTopic(-1)],
    ["version with a fraction", () => iothub.twinReportTopic("1", 1.5)],
  ])("%s", (_, write) => {
    iotErrorOf(write, "topic.bad_part");
  });

  test("a topic longer than MQTT can say", () => {
    const identity = { deviceId: "d" };
    const room = iothub.mqttTopicBytesMax - iothub.telemetryPrefix(identity).length;
    expect(iothub.telemetryTopic(identity, "a".repeat(room))).toHaveLength(65_535);
    iotErrorOf(() => iothub.telemetryTopic(identity, "a".repeat(room + 1)), "topic.too_long");
    iotErrorOf(() => iothub.c2dTopic(identity, "a".repeat(room + 1)), "topic.too_long");
  });
});

test.each([
  ["reboot", true],
  ["thermostat1*getMaxMinReport", true],
  ["a b", false],
  ["a/b", false],
  ["a$", false],
  ["", false],
  ["ä", false],
  ["x".repeat(128), true],
])("%j as a method name: %s", (name, good) => {
  expect(iothub.isMethodName(name)).toBe(good);
});

test.each([
  ["m-1", true],
  ["Az09-:.+%_#*?!(),=@;$'", true],
  ["x".repeat(129), false],
  ["a b", false],
  ["", false],
])("%j as a message id: %s", (id, good) => {
  expect(iothub.isMessageId(id)).toBe(good);
});
