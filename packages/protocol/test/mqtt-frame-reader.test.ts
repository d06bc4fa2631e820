import { FrameReader } from "@hubwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { anyPacket, cut } from "./mqtt/arbitraries.ts";
import { decodePackets, encodePacket, fromHex } from "./mqtt/packets.ts";
import { bytesOf, publishPacket } from "./mqtt/sessions.ts";

const runs = process.env.HUBWIRE_LONG === "1" ? 100_000 : 500;

test("any split of the bytes gives the same packets", () => {
  const packets = fc.array(anyPacket, { maxLength: 8 });
  fc.assert(
    fc.property(packets, fc.array(fc.nat(), { maxLength: 12 }), (sent, places) => {
      const bytes = new Uint8Array(Buffer.concat(sent.map(encodePacket)));
      expect(decodePackets(cut(bytes, places))).toEqual(sent);
    }),
    { numRuns: runs },
  );
});

test("any split of arbitrary bytes gives the same packets and the same violation", () => {
  const header = fc.constantFrom(0x10, 0x20, 0x30, 0x32, 0x40, 0x82, 0x90, 0xa2, 0xc0, 0xe0);
  const streams = fc.array(fc.oneof(header, fc.nat(12), fc.nat(255)), { maxLength: 60 });
  fc.assert(
    fc.property(streams, fc.array(fc.nat(), { maxLength: 12 }), (values, places) => {
      const bytes = Uint8Array.from(values);
      expect(decodePackets(cut(bytes, places), 1000)).toEqual(decodePackets([bytes], 1000));
    }),
    { numRuns: runs },
  );
});

test("a frame within one chunk is shown where it lies", () => {
  const chunk = bytesOf(publishPacket("a", "one"), publishPacket("a", "two"));
  const reader = new FrameReader(1000);
  reader.push(chunk);
  expect(reader.next()).toBe(true);
  expect(reader.bytes).toBe(chunk);
  expect([reader.bodyStart, reader.bodyEnd]).toEqual([2, 8]);
  expect(reader.next()).toBe(true);
  expect(reader.bytes).toBe(chunk);
  expect([reader.bodyStart, reader.bodyEnd]).toEqual([10, 16]);
  expect(reader.next()).toBe(false);
});

test("a frame across chunks is shown in memory that nothing writes to again", () => {
  const [first, second] = cut(bytesOf(publishPacket("a", "one"), publishPacket("a", "two")), [12]);
  const reader = new FrameReader(1000);
  reader.push(first!);
  reader.next();
  reader.next();
  reader.push(second!);
  expect(reader.next()).toBe(true);
  const { bytes, bodyEnd } = reader;
  const before = bytes.slice();
  second!.fill(0xff);
  reader.push(fromHex("30 03 00"));
  reader.next();
  expect(bytes).toEqual(before);
  expect(Buffer.from(bytes.subarray(bodyEnd - 3, bodyEnd)).toString()).toBe("two");
});

test("a quiet reader keeps no chunk alive", () => {
  const reader = new FrameReader(1000);
  reader.push(bytesOf({ type: "pingreq" }));
  while (reader.next());
  expect(reader.bytes.length).toBe(0);
});

test("a packet of exactly the bound is taken, one byte more is refused at its length prefix", () => {
  const packet = encodePacket(publishPacket("a", "x".repeat(195)));
  expect(packet.length).toBe(201);
  expect(decodePackets([packet], 201)).toHaveLength(1);
  const reader = new FrameReader(200);
  reader.push(packet.subarray(0, 2));
  expect(reader.next()).toBe(false);
  expect(reader.violation).toBeUndefined();
  reader.push(packet.subarray(2, 3));
  expect(reader.next()).toBe(false);
  expect(reader.violation?.code).toBe("mqtt.packet_too_large");
});

test("a length prefix alone reserves little memory: room grows with the bytes that really come", () => {
  const reader = new FrameReader(300_000_000);
  const before = process.memoryUsage().arrayBuffers;
  reader.push(fromHex("30 ff ff ff 7f 00 01 61"));
  expect(reader.next()).toBe(false);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000);
});

test("a length in more bytes than needed is taken: MQTT 3.1.1 does not forbid it", () => {
  expect(decodePackets([fromHex("c0 80 00 c0 80 80 80 00")])).toEqual([
    { type: "pingreq" },
    { type: "pingreq" },
  ]);
});
