/** MQTT 3.1.1 values that both session roles share. Shapes only. */

export type Qos = 0 | 1;

/** What a CONNECT carries (§3.1). `password` is bytes on the wire; SAS tokens are ASCII. */
export type ConnectRequest = {
  clientId: string;
  username: string | undefined;
  password: Uint8Array | undefined;
  cleanSession: boolean;
  /** 0 means the client asked for none. */
  keepAliveS: number;
  will: Will | undefined;
};

export type Will = { topic: string; payload: Uint8Array; qos: 0 | 1 | 2; retain: boolean };

/** CONNACK return codes (§3.2.2.3). */
export const ConnackCode = {
  accepted: 0,
  unacceptableProtocolVersion: 1,
  identifierRejected: 2,
  serverUnavailable: 3,
  badUserNameOrPassword: 4,
  notAuthorized: 5,
} as const;
export type ConnackCode = (typeof ConnackCode)[keyof typeof ConnackCode];

export type TopicFilter = { filter: string; qos: 0 | 1 | 2 };

/** SUBACK: the granted QoS, or 0x80 for a refused filter. */
export type SubackCode = 0 | 1 | 0x80;

export type OutgoingMessage = { topic: string; payload: Uint8Array; qos: Qos };

/**
 * An incoming PUBLISH. The bytes stay in the chunk they arrived in (never copied, never overwritten by the session);
 * a consumer that keeps them longer than the turn copies them, or keeps the chunk alive.
 */
export type IncomingMessage = {
  type: "message";
  /** Decoded topic name; the same string object again and again while a peer repeats its topic. */
  topic: string;
  qos: Qos;
  dup: boolean;
  retain: boolean;
  /** 0 for QoS 0. */
  packetId: number;
  /** Pass to `ack` when the message is dealt with; 0 for QoS 0 (nothing to acknowledge). Grows by one per QoS 1 message. */
  receipt: number;
  chunk: Uint8Array;
  payloadStart: number;
  payloadEnd: number;
};

/** The payload as a view (no copy). */
export const payloadOf = (message: IncomingMessage): Uint8Array =>
  message.chunk.subarray(message.payloadStart, message.payloadEnd);
