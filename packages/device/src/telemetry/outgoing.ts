import type { Qos } from "@hubwire/protocol";
import type { CallWaits } from "./call-waits.ts";

/**
 * Being written to the outbox, with no room in memory; waiting on disk only, this object standing for its caller; waiting for its turn; with the
 * session; given to the socket (QoS 0) in this turn; done.
 */
export type State = "storing" | "stored" | "queued" | "sent" | "handed" | "settled";

/** One message on its way. Its promise's functions are kept, so that settling needs no closure. */
export class Outgoing {
  /** Full topic name; `prefix` is what it begins with, so that it can be changed to another device's. */
  topic: string;
  prefix: string;
  payload: Uint8Array;
  readonly qos: Qos;
  /** Index in `priorities`. */
  readonly priority: number;
  /** Body and properties as the hub counts them. */
  readonly sizeBytes: number;
  /** What it counts against the outbox's bound. */
  bytes = 0;
  /** Position among all messages of its priority, from 0. */
  sequenceNumber = -1;
  /** The log's, while it is being written. */
  ordinal = 0;
  /** False while a durable outbox is writing it. It may be sent meanwhile, but its number is not final. */
  isCommitted = true;
  messageId: string | undefined;
  /** Wall clock, Unix ms. */
  acceptedAtMs = 0;
  /** 0: for ever. */
  ttlMs = 0;
  /** Monotonic ms; Infinity when it has no time to live. */
  expiresAtMs = Infinity;

  state: State = "queued";
  packetId = 0;
  sentAtMs = 0;

  /** What its caller still waits for. */
  waits: CallWaits = "nothing";
  timeoutMs = 0;
  /** When the caller is told that it took too long, monotonic ms. */
  deadlineMs = Infinity;
  resolve: (value: unknown) => void = ignore;
  reject: (error: Error) => void = ignore;
  signal: AbortSignal | undefined;
  onAbort: (() => void) | undefined;

  constructor(
    prefix: string,
    topic: string,
    payload: Uint8Array,
    qos: Qos,
    priority: number,
    sizeBytes: number,
  ) {
    this.prefix = prefix;
    this.topic = topic;
    this.payload = payload;
    this.qos = qos;
    this.priority = priority;
    this.sizeBytes = sizeBytes;
  }

  /** The property bag: the topic behind its prefix. */
  get bag(): string {
    return this.topic.slice(this.prefix.length);
  }
}

function ignore(): void {}
