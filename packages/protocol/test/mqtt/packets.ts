/** Packets as plain objects, for tests: encoded and decoded with the codec's own functions. */
import {
  FrameReader,
  OutputBuffer,
  PacketType,
  PublishDecoder,
  PublishEncoder,
  Violation,
  checkEmpty,
  decodeConnack,
  decodeConnect,
  decodePacketId,
  decodeSuback,
  decodeSubscribe,
  decodeUnsubscribe,
  encodeConnack,
  encodeConnect,
  encodeEmpty,
  encodePacketId,
  encodeSuback,
  encodeSubscribe,
  encodeUnsubscribe,
} from "@hubwire/protocol";
import type { SubackCode, TopicFilter } from "@hubwire/protocol";

export type WillObject = { topic: string; payload: string; qos: 0 | 1 | 2; retain: boolean };

/** Binary fields are hex, as in the vector files. */
export type Packet =
  | {
      type: "connect";
      clientId: string;
      cleanSession: boolean;
      keepAliveS: number;
      username?: string;
      password?: string;
      will?: WillObject;
    }
  | { type: "connack"; sessionPresent: boolean; returnCode: number }
  | {
      type: "publish";
      topic: string;
      payload: string;
      qos: number;
      packetId: number;
      dup: boolean;
      retain: boolean;
    }
  | { type: "subscribe"; packetId: number; filters: TopicFilter[] }
  | { type: "suback"; packetId: number; granted: SubackCode[] }
  | { type: "unsubscribe"; packetId: number; filters: string[] }
  | { type: "puback" | "unsuback"; packetId: number }
  | { type: "pingreq" | "pingresp" | "disconnect" };

export const fromHex = (hex: string): Uint8Array =>
  new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));

export const toHex = (bytes: Uint8Array, separator = " "): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(separator);

export function encodePacket(packet: Packet): Uint8Array {
  const out = new OutputBuffer();
  switch (packet.type) {
    case "connect": {
      const { clientId, username, cleanSession, keepAliveS } = packet;
      const password = packet.password === undefined ? undefined : fromHex(packet.password);
      const will = packet.will && { ...packet.will, payload: fromHex(packet.will.payload) };
      encodeConnect(out, { clientId, username, password, cleanSession, keepAliveS, will });
      break;
    }
    case "connack":
      encodeConnack(out, packet.sessionPresent, packet.returnCode);
      break;
    case "publish": {
      const payload = fromHex(packet.payload);
      new PublishEncoder().encode(out, packet.topic, payload, packet.packetId, packet.dup);
      // Neither end of IoT Hub sends RETAIN, so the encoder does not offer it.
      if (packet.retain) out.bytes[0]! |= 1;
      break;
    }
    case "subscribe":
      encodeSubscribe(out, packet.packetId, packet.filters);
      break;
    case "suback":
      encodeSuback(out, packet.packetId, packet.granted);
      break;
    case "unsubscribe":
      encodeUnsubscribe(out, packet.packetId, packet.filters);
      break;
    case "puback":
    case "unsuback":
      encodePacketId(out, PacketType[packet.type], packet.packetId);
      break;
    case "pingreq":
    case "pingresp":
    case "disconnect":
      encodeEmpty(out, PacketType[packet.type]);
      break;
  }
  return out.take()!;
}

const publishes = new PublishDecoder();

/** The packet the reader stands on. */
export function decodeFrame(reader: FrameReader): Packet | Violation {
  const { bytes, header, bodyStart, bodyEnd } = reader;
  switch (header >> 4) {
    case PacketType.connect: {
      const request = decodeConnect(bytes, bodyStart, bodyEnd);
      if (request instanceof Violation) return request;
      const { clientId, cleanSession, keepAliveS, username, password, will } = request;
      return {
        type: "connect",
        clientId,
        cleanSession,
        keepAliveS,
        ...(username !== undefined && { username }),
        ...(password !== undefined && { password: toHex(password, "") }),
        ...(will !== undefined && { will: { ...will, payload: toHex(will.payload, "") } }),
      };
    }
    case PacketType.connack: {
      const connack = decodeConnack(bytes, bodyStart, bodyEnd);
      return connack instanceof Violation ? connack : { type: "connack", ...connack };
    }
    case PacketType.publish: {
      const violation = publishes.decode(reader);
      if (violation !== undefined) return violation;
      return {
        type: "publish",
        topic: publishes.topic,
        payload: toHex(bytes.subarray(publishes.payloadStart, bodyEnd), ""),
        qos: (header >> 1) & 3,
        packetId: publishes.packetId,
        dup: (header & 8) !== 0,
        retain: (header & 1) !== 0,
      };
    }
    case PacketType.subscribe: {
      const subscribe = decodeSubscribe(bytes, bodyStart, bodyEnd);
      return subscribe instanceof Violation ? subscribe : { type: "subscribe", ...subscribe };
    }
    case PacketType.suback: {
      const suback = decodeSuback(bytes, bodyStart, bodyEnd);
      return suback instanceof Violation ? suback : { type: "suback", ...suback };
    }
    case PacketType.unsubscribe: {
      const unsubscribe = decodeUnsubscribe(bytes, bodyStart, bodyEnd);
      return unsubscribe instanceof Violation
        ? unsubscribe
        : { type: "unsubscribe", ...unsubscribe };
    }
    case PacketType.puback:
      return idOnly("puback", decodePacketId("PUBACK", bytes, bodyStart, bodyEnd));
    case PacketType.unsuback:
      return idOnly("unsuback", decodePacketId("UNSUBACK", bytes, bodyStart, bodyEnd));
    case PacketType.pingreq:
      return checkEmpty("PINGREQ", bodyStart, bodyEnd) ?? { type: "pingreq" };
    case PacketType.pingresp:
      return checkEmpty("PINGRESP", bodyStart, bodyEnd) ?? { type: "pingresp" };
    case PacketType.disconnect:
      return checkEmpty("DISCONNECT", bodyStart, bodyEnd) ?? { type: "disconnect" };
    default:
      return new Violation("mqtt.qos2", "belongs to QoS 2");
  }
}

const idOnly = (type: "puback" | "unsuback", packetId: number | Violation): Packet | Violation =>
  packetId instanceof Violation ? packetId : { type, packetId };

/** All packets in the chunks, up to the first violation, which is last. */
export function decodePackets(
  chunks: readonly Uint8Array[],
  packetBytesMax = 300_000,
): (Packet | Violation)[] {
  const reader = new FrameReader(packetBytesMax);
  const packets: (Packet | Violation)[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    while (reader.next()) {
      const packet = decodeFrame(reader);
      packets.push(packet);
      if (packet instanceof Violation) return packets;
    }
    if (reader.violation !== undefined) return [...packets, reader.violation];
  }
  return packets;
}
