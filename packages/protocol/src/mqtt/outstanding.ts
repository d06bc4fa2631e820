import { assert } from "./assert.ts";
import type { OutgoingMessage } from "./types.ts";

/** A QoS 1 message sent and not yet acknowledged. Plain data: it goes into snapshots. */
export type InflightMessage = OutgoingMessage & { packetId: number };

/** What a packet identifier we chose stands for until the peer answers it. */
export type Outstanding =
  | { kind: "publish"; topic: string; payload: Uint8Array }
  /** A publish its caller gave up; the identifier stays taken until the answer. */
  | { kind: "cancelled" }
  | { kind: "subscribe"; filterCount: number }
  | { kind: "unsubscribe" };

/** What of a session outlives a connection. Plain data. */
export type SessionSnapshot = {
  nextPacketId: number;
  /** In the order first sent; all QoS 1. */
  inflight: readonly InflightMessage[];
};

/** Whatever the owner's window, some of the 65,535 identifiers stay free for SUBSCRIBE and for what was forgotten. */
const INFLIGHT_LIMIT = 64_000;

/** Identifiers of forgotten messages kept from reuse, so that a late PUBACK completes nothing else. */
const FORGOTTEN_MAX = 1024;

/**
 * The packet identifiers one end has in use, in the order they were taken, and what each stands for. Identifiers are
 * given in turn from a start the caller chose (at random, if it likes), 65535 is followed by 1, and those in use are
 * skipped [MQTT-2.3.1-2].
 */
export class OutstandingPackets {
  readonly #entries = new Map<number, Outstanding>();
  readonly #forgotten = new Set<number>();
  #nextPacketId: number;
  #publishes = 0;

  /** How many publishes may be unacknowledged at a time. */
  readonly #inflightMax: number;

  constructor(firstPacketId: number, inflightMax: number) {
    this.#inflightMax = Math.min(inflightMax, INFLIGHT_LIMIT);
    assert(
      Number.isInteger(firstPacketId) && firstPacketId >= 1 && firstPacketId <= 65_535,
      `firstPacketId ${firstPacketId} is not 1 to 65535`,
    );
    this.#nextPacketId = firstPacketId;
  }

  /** Publishes that count against the window, cancelled ones included. */
  get publishes(): number {
    return this.#publishes;
  }

  get windowFree(): number {
    return Math.max(0, this.#inflightMax - this.#publishes);
  }

  /** The identifier the next packet would take. */
  nextFree(): number {
    let packetId = this.#nextPacketId;
    if (this.#entries.size + this.#forgotten.size === 0) return packetId;
    assert(this.#entries.size + this.#forgotten.size < 65_535, "every packet identifier is in use");
    while (this.#entries.has(packetId) || this.#forgotten.has(packetId)) {
      packetId = packetId === 65_535 ? 1 : packetId + 1;
    }
    return packetId;
  }

  /** @param packetId from `nextFree` */
  add(packetId: number, entry: Outstanding): void {
    this.#nextPacketId = packetId === 65_535 ? 1 : packetId + 1;
    this.#entries.set(packetId, entry);
    if (entry.kind === "publish") this.#publishes++;
  }

  get(packetId: number): Outstanding | undefined {
    return this.#entries.get(packetId);
  }

  /** Whether it was there. */
  delete(packetId: number): boolean {
    const entry = this.#entries.get(packetId);
    if (entry === undefined) {
      this.#forgotten.delete(packetId);
      return false;
    }
    this.#entries.delete(packetId);
    if (entry.kind === "publish" || entry.kind === "cancelled") this.#publishes--;
    return true;
  }

  /** The message leaves the window at once; its identifier rests until acknowledged, or until 1024 later ones rest. */
  forget(packetId: number): void {
    if (!this.delete(packetId)) return;
    this.#forgotten.add(packetId);
    if (this.#forgotten.size <= FORGOTTEN_MAX) return;
    for (const oldest of this.#forgotten) {
      this.#forgotten.delete(oldest);
      break;
    }
  }

  /** The message will not be sent again nor reported; it keeps its place in the window until acknowledged. */
  cancel(packetId: number): void {
    if (this.#entries.get(packetId)?.kind === "publish")
      this.#entries.set(packetId, { kind: "cancelled" });
  }

  /** The connection is gone, and with it everything whose answer can no longer come; publishes stay. */
  keepPublishes(): void {
    for (const [packetId, entry] of this.#entries) {
      if (entry.kind !== "publish") this.delete(packetId);
    }
    this.#forgotten.clear();
  }

  /** In the order they were first sent. */
  *messages(): Generator<InflightMessage> {
    for (const [packetId, entry] of this.#entries) {
      if (entry.kind !== "publish") continue;
      yield { packetId, topic: entry.topic, payload: entry.payload, qos: 1 };
    }
  }

  snapshot(): SessionSnapshot {
    return { nextPacketId: this.#nextPacketId, inflight: [...this.messages()] };
  }

  /** Takes over a snapshot, before anything else. */
  restore({ nextPacketId, inflight }: SessionSnapshot): void {
    assert(this.#entries.size === 0, "a snapshot is restored before anything is published");
    assert(
      nextPacketId >= 1 && nextPacketId <= 65_535,
      `nextPacketId ${nextPacketId} is not 1 to 65535`,
    );
    this.#nextPacketId = nextPacketId;
    for (const { packetId, topic, payload } of inflight) {
      assert(packetId >= 1 && packetId <= 65_535, `packetId ${packetId} is not 1 to 65535`);
      assert(!this.#entries.has(packetId), `packetId ${packetId} is in the snapshot twice`);
      this.#entries.set(packetId, { kind: "publish", topic, payload });
    }
    this.#publishes = this.#entries.size;
  }
}
