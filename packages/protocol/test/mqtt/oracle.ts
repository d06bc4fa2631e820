/** `mqtt-packet` as an oracle: what it makes of bytes, in the words of our own packets. */
import mqttPacket from "mqtt-packet";
import type { Packet } from "./packets.ts";
import { toHex } from "./packets.ts";

type Parsed = mqttPacket.Packet;
export type Verdict = { packets: unknown[]; error: string | undefined };

const hexOf = (value: unknown): string =>
  typeof value === "string" ? Buffer.from(value).toString("hex") : toHex(value as Buffer, "");

function normalize(parsed: Parsed): Packet | { type: string } {
  switch (parsed.cmd) {
    case "connect": {
      const { clientId, clean, keepalive, username, password, will } = parsed;
      return {
        type: "connect",
        clientId,
        cleanSession: clean ?? false,
        keepAliveS: keepalive ?? 0,
        ...(username !== undefined && { username }),
        ...(password !== undefined && { password: hexOf(password) }),
        ...(will !== undefined && {
          will: {
            topic: will.topic,
            payload: hexOf(will.payload),
            qos: will.qos ?? 0,
            retain: will.retain ?? false,
          },
        }),
      };
    }
    case "connack":
      return {
        type: "connack",
        sessionPresent: parsed.sessionPresent,
        returnCode: parsed.returnCode ?? -1,
      };
    case "publish": {
      const { topic, payload, qos, messageId, dup, retain } = parsed;
      const packetId = messageId ?? 0;
      return { type: "publish", topic, payload: hexOf(payload), qos, packetId, dup, retain };
    }
    case "subscribe": {
      const filters = parsed.subscriptions.map(({ topic, qos }) => ({ filter: topic, qos }));
      return { type: "subscribe", packetId: parsed.messageId ?? 0, filters };
    }
    case "suback":
      return {
        type: "suback",
        packetId: parsed.messageId ?? 0,
        granted: parsed.granted as (0 | 1 | 0x80)[],
      };
    case "unsubscribe":
      return {
        type: "unsubscribe",
        packetId: parsed.messageId ?? 0,
        filters: parsed.unsubscriptions,
      };
    case "puback":
    case "unsuback":
      return { type: parsed.cmd, packetId: parsed.messageId ?? 0 };
    case "auth":
    case "disconnect":
    case "pingreq":
    case "pingresp":
    case "pubrec":
    case "pubrel":
    case "pubcomp":
      return { type: parsed.cmd };
  }
}

/** All packets up to the first error. */
export function askOracle(bytes: Uint8Array): Verdict {
  const parser = mqttPacket.parser();
  const verdict: Verdict = { packets: [], error: undefined };
  parser.on("packet", (parsed) => {
    if (verdict.error === undefined) verdict.packets.push(normalize(parsed));
  });
  parser.on("error", (error) => {
    verdict.error ??= error.message;
  });
  try {
    parser.parse(Buffer.from(bytes));
  } catch (error) {
    verdict.error ??= `threw ${(error as Error).message}`;
  }
  return verdict;
}
