/** Generators of valid packets and of byte streams cut anywhere. */
import fc from "fast-check";
import type { Packet } from "./packets.ts";

const text = fc
  .string({ unit: "binary", maxLength: 24 })
  .filter((candidate) => !candidate.includes("\0"));
const topic = fc.oneof(
  fc.constantFrom("devices/dev1/messages/events/", "$iothub/twin/GET/?$rid=1", "/", "é"),
  text.filter((candidate) => candidate !== "" && !/[#+]/.test(candidate)),
);
const filter = fc.constantFrom("#", "+", "a/+/b/#", "devices/dev1/messages/devicebound/#", "é/+");
const hex = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const packetId = fc.integer({ min: 1, max: 65_535 });
const anyQos = fc.constantFrom<(0 | 1 | 2)[]>(0, 1, 2);

const will = fc.record({ topic, payload: hex, qos: anyQos, retain: fc.boolean() });

const connect = fc
  .record(
    {
      type: fc.constant("connect" as const),
      clientId: text,
      cleanSession: fc.boolean(),
      keepAliveS: fc.nat(65_535),
      username: text,
      password: hex,
      will,
    },
    { requiredKeys: ["type", "clientId", "cleanSession", "keepAliveS"] },
  )
  .map(({ password, ...rest }) =>
    rest.username !== undefined && password !== undefined ? { ...rest, password } : rest,
  );

const publish = fc
  .record({
    type: fc.constant("publish" as const),
    topic,
    payload: hex,
    qos: fc.constantFrom(0, 1),
    packetId,
    dup: fc.boolean(),
    retain: fc.boolean(),
  })
  .map((packet) => (packet.qos === 1 ? packet : { ...packet, packetId: 0, dup: false }));

export const clientPacket: fc.Arbitrary<Packet> = fc.oneof(
  { weight: 4, arbitrary: publish },
  fc.record({ type: fc.constant("puback" as const), packetId }),
  fc.record({
    type: fc.constant("subscribe" as const),
    packetId,
    filters: fc.array(fc.record({ filter, qos: anyQos }), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({
    type: fc.constant("unsubscribe" as const),
    packetId,
    filters: fc.array(filter, { minLength: 1, maxLength: 4 }),
  }),
  fc.constant<Packet>({ type: "pingreq" }),
);

export const serverPacket: fc.Arbitrary<Packet> = fc.oneof(
  { weight: 4, arbitrary: publish },
  fc.record({ type: fc.constantFrom("puback" as const, "unsuback" as const), packetId }),
  fc.record({
    type: fc.constant("suback" as const),
    packetId,
    granted: fc.array(fc.constantFrom<(0 | 1 | 0x80)[]>(0, 1, 0x80), {
      minLength: 1,
      maxLength: 4,
    }),
  }),
  fc.constant<Packet>({ type: "pingresp" }),
);

export const anyPacket: fc.Arbitrary<Packet> = fc.oneof(
  connect as fc.Arbitrary<Packet>,
  clientPacket,
  serverPacket,
  fc.record({
    type: fc.constant("connack" as const),
    sessionPresent: fc.boolean(),
    returnCode: fc.constant(0),
  }),
  fc.constant<Packet>({ type: "disconnect" }),
);

/** Cuts bytes at the given places (any numbers; taken modulo the length). */
export function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const positions = places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b);
  const chunks: Uint8Array[] = [];
  let from = 0;
  for (const position of [...positions, bytes.length]) {
    chunks.push(bytes.slice(from, position));
    from = position;
  }
  return chunks;
}
