import type { ErrorCode } from "../errors/iot-error.ts";
import type { ConnectRequest, IncomingMessage, SubackCode, TopicFilter } from "./types.ts";

/**
 * What both MQTT sessions share. A session is a machine without I/O: calls with time go in, an ordered list of
 * effects comes out, and bytes to send gather inside until the driver takes them, so that one turn of the event loop
 * costs one socket write however many packets it produced.
 */
export interface Session<Effect> {
  /** Bytes from the peer, split anywhere. Returns [] (a shared frozen array) when nothing happened. */
  receive(bytes: Uint8Array, nowMs: number): readonly Effect[];
  /** Harmless when early or repeated. */
  tick(nowMs: number): readonly Effect[];
  /** When `tick` is next worth calling; `Infinity` when never. Monotonic milliseconds. */
  readonly deadlineMs: number;
  /** Whether `takeOutput` would return bytes. */
  readonly hasOutput: boolean;
  /** All bytes produced since the last call as one buffer the caller owns, or undefined. */
  takeOutput(): Uint8Array | undefined;
  /** Incoming QoS 1 messages not yet acknowledged: the driver stops reading while there are too many. */
  readonly openReceipts: number;
}

/** The connection must be closed now: flush `takeOutput` first. Always the last effect; afterwards the session is mute. */
export type CloseEffect = { type: "close"; code: ErrorCode; reason: string };

export type ServerEffect =
  /** Answer with `accept` or `refuse`; packets behind the CONNECT wait inside the session until then. */
  | { type: "connect"; request: ConnectRequest }
  | IncomingMessage
  /** Commit, then answer with `suback(packetId, codes)`. */
  | { type: "subscribe"; packetId: number; filters: readonly TopicFilter[] }
  /** Commit, then answer with `unsuback(packetId)`. */
  | { type: "unsubscribe"; packetId: number; filters: readonly string[] }
  /** The peer acknowledged a QoS 1 message we sent. */
  | { type: "published"; packetId: number }
  /** DISCONNECT: the will is dropped. A close effect follows. */
  | { type: "disconnect" }
  | CloseEffect;

export type ClientEffect =
  | { type: "connected"; sessionPresent: boolean }
  /** CONNACK with a refusal (return code 1-5, or a number MQTT does not know). A close effect follows. */
  | { type: "refused"; returnCode: number }
  | IncomingMessage
  | { type: "published"; packetId: number }
  | { type: "subscribed"; packetId: number; granted: readonly SubackCode[] }
  | { type: "unsubscribed"; packetId: number }
  | CloseEffect;
