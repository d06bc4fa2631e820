import { BodyCursor } from "./body-cursor.ts";
import { Violation } from "./violation.ts";

/** The body of a PUBACK or UNSUBACK: its packet identifier. Allocates only for a violation. */
export function decodePacketId(
  packet: string,
  bytes: Uint8Array,
  start: number,
  end: number,
): number | Violation {
  if (end - start === 2) {
    const packetId = (bytes[start]! << 8) | bytes[start + 1]!;
    if (packetId !== 0) return packetId;
  }
  const body = new BodyCursor(packet, bytes, start, end);
  body.packetId();
  body.finish();
  return body.violation ?? new Violation("mqtt.packet_truncated", packet);
}

/** The body of a PINGREQ, PINGRESP or DISCONNECT: nothing. */
export function checkEmpty(packet: string, start: number, end: number): Violation | undefined {
  if (start === end) return undefined;
  return new Violation(
    "mqtt.packet_trailing_bytes",
    `${packet} with a body of ${end - start} bytes`,
  );
}

export type Connack = { sessionPresent: boolean; returnCode: number };

/** The body of a CONNACK (§3.2). */
export function decodeConnack(bytes: Uint8Array, start: number, end: number): Connack | Violation {
  const body = new BodyCursor("CONNACK", bytes, start, end);
  const flags = body.uint8("acknowledge flags");
  const returnCode = body.uint8("return code");
  body.finish();
  if (body.violation !== undefined) return body.violation;
  if (flags > 1) return new Violation("mqtt.connack_malformed", `CONNACK with flags ${flags}`);
  const sessionPresent = flags === 1;
  if (sessionPresent && returnCode !== 0) {
    return new Violation(
      "mqtt.connack_malformed",
      `CONNACK refuses with ${returnCode} and session present`,
    );
  }
  return { sessionPresent, returnCode };
}
