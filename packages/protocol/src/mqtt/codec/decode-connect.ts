import type { ConnectRequest, Will } from "../types.ts";
import { BodyCursor } from "./body-cursor.ts";
import { checkTopicName } from "./topic-rules.ts";
import { Violation } from "./violation.ts";

const WILL = 0x04;
const WILL_RETAIN = 0x20;
const PASSWORD = 0x40;
const USERNAME = 0x80;

function checkFlags(flags: number): Violation | undefined {
  if ((flags & 1) !== 0) {
    return new Violation("mqtt.connect_flag_reserved", "bit 0 of the connect flags is set");
  }
  const willQos = (flags >> 3) & 3;
  if ((flags & WILL) === 0 && (willQos !== 0 || (flags & WILL_RETAIN) !== 0)) {
    return new Violation("mqtt.will_flags", "will QoS or will retain without a will");
  }
  if (willQos === 3) return new Violation("mqtt.will_flags", "will QoS 3");
  if ((flags & PASSWORD) !== 0 && (flags & USERNAME) === 0) {
    return new Violation("mqtt.password_without_username", "a password without a user name");
  }
  return undefined;
}

function decodeWill(body: BodyCursor, flags: number): Will {
  const topic = body.string("will topic");
  const bad = body.violation === undefined ? checkTopicName(topic) : undefined;
  if (bad !== undefined) body.fail(new Violation(bad.code, `CONNECT: will topic: ${bad.reason}`));
  const payload = body.binary("will message");
  const qos = ((flags >> 3) & 3) as 0 | 1 | 2; // 3 was refused with the flags
  return { topic, payload, qos, retain: (flags & WILL_RETAIN) !== 0 };
}

/**
 * The body of a CONNECT (§3.1). Name and level are judged before anything behind them, because in another version what
 * follows has another shape: an MQTT 5 or MQTT 3.1 client gets `mqtt.protocol_version`, which the server answers in the
 * form of 3.1.1 with return code 1 [MQTT-3.1.2-2].
 */
export function decodeConnect(
  bytes: Uint8Array,
  start: number,
  end: number,
): ConnectRequest | Violation {
  const body = new BodyCursor("CONNECT", bytes, start, end);
  const name = body.string("protocol name");
  if (body.violation === undefined && name !== "MQTT" && name !== "MQIsdp") {
    return new Violation("mqtt.protocol_name", "CONNECT with a protocol name that is not MQTT");
  }
  const level = body.uint8("protocol level");
  if (body.violation !== undefined) return body.violation;
  if (name !== "MQTT" || level !== 4) {
    return new Violation("mqtt.protocol_version", `CONNECT with protocol ${name}, level ${level}`);
  }
  const flags = body.uint8("connect flags");
  const badFlags = body.violation === undefined ? checkFlags(flags) : undefined;
  if (badFlags !== undefined) return badFlags;
  const keepAliveS = body.uint16("keep alive");
  const clientId = body.string("client identifier");
  const will = (flags & WILL) !== 0 ? decodeWill(body, flags) : undefined;
  const username = (flags & USERNAME) !== 0 ? body.string("user name") : undefined;
  const password = (flags & PASSWORD) !== 0 ? body.binary("password") : undefined;
  body.finish();
  if (body.violation !== undefined) return body.violation;
  const cleanSession = (flags & 2) !== 0;
  return { clientId, username, password, cleanSession, keepAliveS, will };
}
