import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { authMethods } from "../../src/domain/auth/auth-method.ts";
import { OpenRecords } from "../../src/domain/telemetry/open-records.ts";
import type { TelemetryPublisher } from "../../src/domain/telemetry/publisher.ts";
import {
  decodeRecord,
  encodeRecordHead,
  messageSources,
  startsWith,
} from "../../src/domain/telemetry/record.ts";

const runs = Number(process.env["HUBWIRE_LONG"] === "1" ? 20_000 : 500);

const text = (maxLength: number) => fc.string({ unit: "binary", maxLength });
const head = fc.record({
  deviceId: fc.string({ minLength: 1, maxLength: 128 }),
  moduleId: fc.option(fc.string({ minLength: 1, maxLength: 128 }), { nil: undefined }),
  generationId: fc.string({ minLength: 1, maxLength: 20 }),
  authMethod: fc.constantFrom(...authMethods),
  modelId: fc.option(
    text(50).filter((id) => id !== ""),
    { nil: undefined },
  ),
  bag: text(300),
  retain: fc.boolean(),
  will: fc.boolean(),
  messageSource: fc.constantFrom(...messageSources),
});

test("a record reads back as it was written", { timeout: 300_000 }, () => {
  fc.assert(
    fc.property(head, fc.uint8Array({ maxLength: 200 }), (written, body) => {
      const record = Buffer.concat([encodeRecordHead(written), body]);
      const read = decodeRecord(record);
      expect(read.head).toEqual(written);
      expect(new Uint8Array(read.body)).toEqual(body);
    }),
    { numRuns: runs },
  );
});

test("a record starts with a head exactly when it decodes to it", { timeout: 300_000 }, () => {
  fc.assert(
    fc.property(head, head, fc.boolean(), fc.uint8Array({ maxLength: 20 }), (a, b, same, body) => {
      const { headBytes, head: first } = decodeRecord(encodeRecordHead(a));
      const record = Buffer.concat([encodeRecordHead(same ? a : b), body]);
      expect(startsWith(record, headBytes)).toBe(
        isDeepStrictEqual(decodeRecord(record).head, first),
      );
    }),
    { numRuns: runs },
  );
});

test("any bytes are a record, or damage that is named", { timeout: 300_000 }, () => {
  const good = encodeRecordHead({
    deviceId: "dev1",
    moduleId: "mod1",
    generationId: "1",
    authMethod: authMethods[1],
    modelId: "m",
    bag: "a=b",
    retain: false,
    will: false,
    messageSource: "Telemetry" as const,
  });
  const nearlyGood = fc
    .tuple(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length))
    .map(([at, byte, length]) => {
      const bytes = good.slice();
      bytes[at] = byte;
      return bytes.subarray(0, length);
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), nearlyGood), (bytes) => {
      try {
        decodeRecord(bytes);
      } catch (error) {
        expect(["hub.data_corrupt", "hub.data_newer_format"]).toContain(
          (error as { code?: string }).code,
        );
      }
    }),
    { numRuns: runs },
  );
});

test("a record of a later format is named", () => {
  expect(() => decodeRecord(Uint8Array.of(2, 0, 0, 0, 0, 0, 0))).toThrow(/format version 2/);
});

test("the ring hands records out as a queue would, however it grew", { timeout: 300_000 }, () => {
  const step = fc.oneof(
    fc.record({ push: fc.integer({ min: 1, max: 700 }) }),
    fc.record({ take: fc.integer({ min: 0, max: 900 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (actions) => {
      const ring = new OpenRecords();
      const model: number[] = [];
      let ordinal = 0;
      const owners = [{}, {}, {}] as unknown as TelemetryPublisher[];
      for (const action of actions) {
        if ("push" in action) {
          for (let i = 0; i < action.push; i++) {
            // Others append too: ordinals grow with gaps.
            ordinal += 1 + (i % 3);
            ring.push(owners[ordinal % 3]!, ordinal, ordinal * 2, ordinal % 1000);
            model.push(ordinal);
          }
        } else {
          const upTo = ordinal - action.take;
          for (let taken = ring.take(upTo); taken !== undefined; taken = ring.take(upTo)) {
            const expected = model.shift()!;
            expect(taken).toBe(owners[expected % 3]);
            expect(ring.takenOrdinal).toBe(expected);
            expect(ring.takenReceipt).toBe(expected * 2);
            expect(ring.takenBytes).toBe(expected % 1000);
          }
          expect(model[0] ?? Infinity).toBeGreaterThan(upTo);
        }
        expect(ring.size).toBe(model.length);
      }
    }),
    { numRuns: Math.min(runs, 500) },
  );
});
