import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildSasToken, catalog, decodeBase64Lenient } from "../../src/index.ts";
import {
  assigned,
  deriveDeviceKey,
  dpsAnswerTopic,
  dpsConnackError,
  dpsErrorNames,
  dpsErrorNumbers,
  dpsPolicyName,
  dpsRefusal,
  dpsRegisterTopic,
  dpsSasResource,
  dpsStatusTopic,
  encodeRegisterBody,
  formatDpsUsername,
  isIdScope,
  isRegistrationId,
  normalRegistrationId,
  parseDpsAnswer,
  parseDpsAnswerTopic,
  parseDpsRequestTopic,
  parseDpsUsername,
  registrationFailure,
} from "../../src/dps/index.ts";
import type { Registration } from "../../src/dps/index.ts";
import { iotErrorOf, valueOrIotError } from "../expect-iot-error.ts";
import "../long-runs.ts";
import answers from "../../../../vectors/dps-answers.json" with { type: "json" };
import keys from "../../../../vectors/dps-keys.json" with { type: "json" };
import topics from "../../../../vectors/dps-topics.json" with { type: "json" };

const bytes = (text: string): Uint8Array => Buffer.from(text, "utf8");
const sign = (key: string) => (text: string) =>
  Promise.resolve(
    createHmac("sha256", decodeBase64Lenient(key)).update(text, "utf8").digest("base64"),
  );

describe("keys and tokens", () => {
  test.each(keys.groupKeys)("a device's key of a group: $name", async (vector) => {
    const { groupKey, registrationId, deviceKey } = vector;
    expect(await deriveDeviceKey(registrationId, sign(groupKey))).toBe(deviceKey);
  });

  test.each(keys.tokens)("token: $name", async (vector) => {
    const resource = dpsSasResource(vector.idScope, vector.registrationId);
    const scope = { resource, policyName: dpsPolicyName, expiresAtS: vector.expiresAtS };
    expect(await buildSasToken(scope, sign(vector.key))).toBe(vector.token);
  });
});

describe("registration ids", () => {
  test.each(["a", "-", "a-b.c_d:e", "a".repeat(128), "SN-1", "9"])("%s is one", (id) => {
    expect(isRegistrationId(id)).toBe(true);
    expect(normalRegistrationId(id)).toBe(id.toLowerCase());
  });

  test.each(["", "a.", "a:", "a_", "a b", "ä", "a/b", "a".repeat(129), "a\n"])(
    "%j is none",
    (id) => {
      expect(isRegistrationId(id)).toBe(false);
      iotErrorOf(() => normalRegistrationId(id), "argument.invalid");
    },
  );

  test("an id scope has letters, digits and dashes", () => {
    expect(["0ne00000000", "own-1"].map(isIdScope)).toEqual([true, true]);
    expect(["", "a/b", "a b", "a".repeat(65)].map(isIdScope)).toEqual([false, false, false, false]);
  });
});

describe("user names", () => {
  test.each(topics.usernames)("$name", ({ text, parsed, canonical }) => {
    expect(JSON.parse(JSON.stringify(parseDpsUsername(text) ?? null))).toEqual(parsed ?? null);
    if (canonical === true && parsed !== undefined) expect(formatDpsUsername(parsed)).toBe(text);
  });
});

describe("topics", () => {
  test.each(topics.requests)("request: $name", ({ topic, parsed, canonical }) => {
    const read = parseDpsRequestTopic(topic);
    expect(read).toEqual(parsed);
    if (canonical !== true || read.type === "unknown") return;
    const written =
      read.type === "register"
        ? dpsRegisterTopic(read.rid)
        : dpsStatusTopic(read.rid, read.operationId);
    expect(written).toBe(topic);
  });

  test.each(topics.answers)("answer: $name", ({ topic, parsed, canonical }) => {
    const read = parseDpsAnswerTopic(topic);
    expect(JSON.parse(JSON.stringify(read))).toEqual(parsed);
    if (canonical !== true || read.type === "unknown") return;
    expect(dpsAnswerTopic(read.status, read.rid, read.retryAfterS)).toBe(topic);
  });

  test.each(["", "a&b", "a/b", "a+", "#", "a$b", "a?b", "a\u0000", "x".repeat(513)])(
    "%j cannot stand in a topic",
    (part) => {
      iotErrorOf(() => dpsRegisterTopic(part), "topic.bad_part");
      iotErrorOf(() => dpsStatusTopic("1", part), "topic.bad_part");
    },
  );

  test("no topic makes the readers throw", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        parseDpsAnswerTopic(`$dps/registrations/res/${text}`);
        parseDpsRequestTopic(`$dps/registrations/PUT/iotdps-register/?${text}`);
        parseDpsUsername(`a/registrations/${text}`);
      }),
    );
  });
});

describe("request bodies", () => {
  test("are ASCII, whatever the payload says", () => {
    const payload = { where: "Köln ☂", "🙂": 1 };
    const body = encodeRegisterBody({ registrationId: "reg1", payload, csr: "TUlJ" });
    expect(body.every((byte) => byte < 0x80)).toBe(true);
    expect(JSON.parse(Buffer.from(body).toString())).toEqual({
      registrationId: "reg1",
      payload,
      csr: "TUlJ",
    });
  });

  test("leave out what was not given", () => {
    const body = encodeRegisterBody({ registrationId: "reg1" });
    expect(Buffer.from(body).toString()).toBe('{"registrationId":"reg1"}');
  });

  test("of more than 96 KB, or without a form in JSON, are the caller's mistake", () => {
    const long = "x".repeat(96 * 1024);
    iotErrorOf(
      () => encodeRegisterBody({ registrationId: "r", payload: long }),
      "argument.invalid",
    );
    const circle: Record<string, never> = {};
    (circle as Record<string, unknown>)["self"] = circle;
    iotErrorOf(
      () => encodeRegisterBody({ registrationId: "r", payload: circle }),
      "argument.invalid",
    );
  });
});

describe("answers", () => {
  test("every field of a registration is read", () => {
    const { body, registration } = answers.registration;
    const answer = parseDpsAnswer(bytes(JSON.stringify(body)));
    expect(answer).toEqual({
      operationId: body.operationId,
      status: "assigned",
      registration,
    });
    expect(assigned(answer.registration)).toEqual(registration);
  });

  test("fields of the wrong kind that are only shown are left out", () => {
    const registrationState = { status: "failed", etag: 7, errorCode: {}, tpm: "x", x509: [] };
    const answer = parseDpsAnswer(bytes(JSON.stringify({ status: "failed", registrationState })));
    expect(answer.registration).toEqual({ status: "failed" });
  });

  test.each(answers.unusable)("unusable: $name", ({ text }) => {
    iotErrorOf(() => parseDpsAnswer(bytes(text)), "provisioning.bad_answer");
  });

  test.each(answers.unassignable)("no assignment: $name", ({ state }) => {
    const { registration } = parseDpsAnswer(bytes(JSON.stringify({ registrationState: state })));
    iotErrorOf(() => assigned(registration), "provisioning.bad_answer");
  });

  test("no bytes make the reader throw anything else", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(bytes)), (body) => {
        valueOrIotError(() => parseDpsAnswer(body));
        dpsRefusal(418, body);
      }),
    );
  });
});

describe("errors", () => {
  test.each(answers.refusals)("refused: $name", ({ status, text, code, says }) => {
    const error = dpsRefusal(status, bytes(text));
    expect(error.code).toBe(code);
    if (says !== undefined) expect(error.message).toBe(says);
  });

  test.each(answers.failures)("ended: $name", ({ state, code, says }) => {
    const error = registrationFailure(state as Registration);
    expect(error.code).toBe(code);
    if (says !== undefined) expect(error.message).toBe(says);
  });

  test("a peer's text is cut", () => {
    const error = dpsRefusal(500, bytes(JSON.stringify({ message: "x".repeat(10_000) })));
    expect(error.message.length).toBeLessThan(400);
  });

  test.each([
    [1, "provisioning.refused"],
    [3, "provisioning.unavailable"],
    [4, "provisioning.unauthorized"],
    [5, "provisioning.unauthorized"],
    [77, "provisioning.refused"],
  ])("CONNACK %i is %s", (returnCode, code) => {
    expect(dpsConnackError(returnCode, "reg1").code).toBe(code);
  });

  test("every mapped code exists", () => {
    for (const code of [...Object.values(dpsErrorNames), ...Object.values(dpsErrorNumbers)]) {
      expect(Object.hasOwn(catalog, code)).toBe(true);
    }
  });
});
