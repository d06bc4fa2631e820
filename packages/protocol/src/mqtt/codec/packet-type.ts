/** Control packet types, the upper four bits of the first byte (§2.2.1). */
export const PacketType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
} as const;

const names = [
  "reserved type 0",
  ...Object.keys(PacketType).map((name) => name.toUpperCase()),
  "reserved type 15",
];

/** The name of the packet type in a fixed header's first byte, for reasons and traces. */
export const packetName = (header: number): string => names[header >> 4] ?? "?";
