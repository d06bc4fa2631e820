import type { IotError } from "@hubwire/protocol";
import type { Agenda } from "../connection/agenda.ts";
import type { Deque } from "../telemetry/deque.ts";
import type { Lane } from "../telemetry/lane.ts";
import type { Outgoing } from "../telemetry/outgoing.ts";

/** What the queue hears from the disk it keeps its messages on. */
export interface StoreHost {
  /** On disk for good. In the order of `append`. */
  committed(message: Outgoing): void;
  /** Will not be on disk: nobody may rely on it. */
  refused(message: Outgoing, error: IotError): void;
  /** After a run of the two above. */
  committedAll(): void;
  /** Something is wrong, though nothing accepted is lost by it that the text does not name. */
  note(error: IotError): void;
}

/** A message as it lies on disk. */
export type StoredMessage = {
  sequenceNumber: number;
  bag: string;
  payload: Uint8Array;
  qos: 0 | 1;
  sizeBytes: number;
  acceptedAtMs: number;
  ttlMs: number;
  bytes: number;
};

/** Where accepted messages are kept until the hub has them. */
export interface MessageStore {
  /** One per priority: with what was left by an earlier process. */
  readonly lanes: readonly Lane[];
  readonly storedCount: number;
  readonly storedBytes: number;
  /** Given and not yet committed. */
  readonly uncommitted: Deque<Outgoing>;
  attach(host: StoreHost, agenda: Agenda): void;
  /** What a message of this size counts. */
  bytesOf(bagLength: number, payloadLength: number): number;
  /** Takes a message over; `committed` or `refused` follows. @throws IotError when it cannot be taken */
  append(message: Outgoing): void;
  /** The hub has it, or nobody wants it any more: it need not be read again. */
  settled(lane: Lane, sequenceNumber: number): void;
  /** Messages of a lane from this sequence number on, in order. @throws IotError */
  read(lane: Lane, sequenceNumber: number): Promise<StoredMessage[]>;
  /** The first readable sequence number behind a damaged one; `to` when there is none. */
  behindDamage(lane: Lane, sequenceNumber: number, to: number): Promise<number>;
  close(): Promise<void>;
}
