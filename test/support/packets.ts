import type { Packet } from "mqtt-packet";

export type ConnectFields = {
  clientId: string;
  username?: string | undefined;
  password?: string | undefined;
  clean?: boolean;
  keepalive?: number;
  will?: { topic: string; payload: string; qos?: 0 | 1 | 2 };
};

export function connectPacket(fields: ConnectFields): Packet {
  const { clientId, username, password, clean = true, keepalive = 60, will } = fields;
  return {
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clientId,
    clean,
    keepalive,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password: Buffer.from(password) }),
    ...(will !== undefined && {
      will: {
        topic: will.topic,
        payload: Buffer.from(will.payload),
        qos: will.qos ?? 0,
        retain: false,
      },
    }),
  } as Packet;
}

/** QoS 1 with `id`, QoS 0 without. */
export const publish = (
  topic: string,
  payload: string | Uint8Array,
  id?: number,
  { dup = false, qos = id === undefined ? 0 : 1 }: { dup?: boolean; qos?: 0 | 1 | 2 } = {},
): Packet =>
  ({
    cmd: "publish",
    topic,
    payload: Buffer.from(payload),
    qos,
    retain: false,
    dup,
    ...(id !== undefined && { messageId: id }),
  }) as Packet;

export const subscribe = (id: number, ...filters: [topic: string, qos: 0 | 1 | 2][]): Packet => ({
  cmd: "subscribe",
  messageId: id,
  subscriptions: filters.map(([topic, qos]) => ({ topic, qos })),
});

export const puback = (id: number): Packet => ({ cmd: "puback", messageId: id });

export const eventsTopic = (deviceId: string): string => `devices/${deviceId}/messages/events/`;
export const c2dFilter = (deviceId: string): string => `devices/${deviceId}/messages/devicebound/#`;
