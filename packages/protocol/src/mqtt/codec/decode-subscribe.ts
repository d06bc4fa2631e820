import type { SubackCode, TopicFilter } from "../types.ts";
import { BodyCursor } from "./body-cursor.ts";
import { checkTopicFilter } from "./topic-rules.ts";
import { Violation } from "./violation.ts";

export type Subscribe = { packetId: number; filters: TopicFilter[] };
export type Unsubscribe = { packetId: number; filters: string[] };
export type Suback = { packetId: number; granted: SubackCode[] };

function readFilter(packet: string, body: BodyCursor): string {
  const filter = body.string("topic filter");
  const bad = body.violation === undefined ? checkTopicFilter(filter) : undefined;
  if (bad !== undefined) body.fail(new Violation(bad.code, `${packet}: ${bad.reason}`));
  return filter;
}

/** The body of a SUBSCRIBE (§3.8). */
export function decodeSubscribe(
  bytes: Uint8Array,
  start: number,
  end: number,
): Subscribe | Violation {
  const body = new BodyCursor("SUBSCRIBE", bytes, start, end);
  const packetId = body.packetId();
  const filters: TopicFilter[] = [];
  while (body.more) {
    const filter = readFilter("SUBSCRIBE", body);
    const qos = body.uint8("requested QoS");
    if (qos > 2)
      body.fail(new Violation("mqtt.subscribe_qos", `SUBSCRIBE asks for QoS byte ${qos}`));
    filters.push({ filter, qos: qos as 0 | 1 | 2 });
  }
  if (body.violation !== undefined) return body.violation;
  if (filters.length === 0)
    return new Violation("mqtt.subscribe_empty", "SUBSCRIBE without a filter");
  return { packetId, filters };
}

/** The body of an UNSUBSCRIBE (§3.10). */
export function decodeUnsubscribe(
  bytes: Uint8Array,
  start: number,
  end: number,
): Unsubscribe | Violation {
  const body = new BodyCursor("UNSUBSCRIBE", bytes, start, end);
  const packetId = body.packetId();
  const filters: string[] = [];
  while (body.more) filters.push(readFilter("UNSUBSCRIBE", body));
  if (body.violation !== undefined) return body.violation;
  if (filters.length === 0)
    return new Violation("mqtt.unsubscribe_empty", "UNSUBSCRIBE without a filter");
  return { packetId, filters };
}

/** The body of a SUBACK (§3.9). QoS 2 is never asked for, so a grant of 2 is refused with the other wrong codes. */
export function decodeSuback(bytes: Uint8Array, start: number, end: number): Suback | Violation {
  const body = new BodyCursor("SUBACK", bytes, start, end);
  const packetId = body.packetId();
  const granted: SubackCode[] = [];
  while (body.more) {
    const code = body.uint8("return code");
    if (code !== 0 && code !== 1 && code !== 0x80) {
      body.fail(new Violation("mqtt.suback_malformed", `SUBACK with return code ${code}`));
    }
    granted.push(code as SubackCode);
  }
  if (body.violation !== undefined) return body.violation;
  if (granted.length === 0)
    return new Violation("mqtt.suback_malformed", "SUBACK without a return code");
  return { packetId, granted };
}
