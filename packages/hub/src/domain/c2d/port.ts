import type { ErrorCode, Qos } from "@hubwire/protocol";
import type { IdentityRef } from "../services.ts";

/** What delivery needs of a connection. All calls are harmless on one that is closed. */
export interface C2dPort {
  readonly ref: IdentityRef;
  readonly generationId: string;
  /** The granted QoS of the devicebound subscription; undefined without one. */
  readonly c2dQos: Qos | undefined;
  /** QoS 1 messages that may be sent now. */
  readonly windowFree: number;
  /** False while the peer has too much still to read. */
  readonly writable: boolean;
  /** The identifier the next QoS 1 message would get, to go on from on the client's next connection. */
  readonly nextPacketId: number;
  /** @returns the packet id, 0 for QoS 0 */
  publish(topic: string, payload: Uint8Array, qos: Qos): number;
  /** Hands what was published to the socket now. */
  flush(): void;
  resend(packetId: number): void;
  forget(packetId: number): void;
  close(code: ErrorCode, reason: string): void;
}
