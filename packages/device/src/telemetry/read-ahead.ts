import { IotError } from "@hubwire/protocol";
import { isIotError } from "../calls/errors.ts";
import type { DropReason } from "../observe/stats.ts";
import type { Settings } from "../options/settings.ts";
import type { MessageStore, StoredMessage } from "../outbox/store.ts";
import type { Lane } from "./lane.ts";
import { Outgoing } from "./outgoing.ts";

/** What a read brings to the queue. */
export type ReadAheadHost = {
  /** What topics begin with now. */
  prefix(): string;
  /** The next of a lane, in order. */
  loaded(lane: Lane, message: Outgoing): void;
  /** The next of a lane that there is nothing to send of; `reason` when somebody still wanted it. */
  skipped(bytes: number, reason: DropReason | undefined): void;
  /** Its caller still waited for one that cannot be read. */
  failed(message: Outgoing, error: IotError): void;
  /** A message was found to take so much more, or less, than was assumed. */
  reread(byBytes: number): void;
  done(): void;
  note(error: IotError): void;
  retryAt(atMs: number): void;
};

/** Below so much in memory more is read: enough for several round trips to the disk. */
const lowMessages = 512;
const lowBytes = 512 * 1024;
const retryMs = 1_000;

/** Brings what is on disk only into memory shortly before its turn, a piece at a time: one read per lane under way. */
export class ReadAhead {
  readonly #settings: Settings;
  readonly #store: MessageStore;
  readonly #host: ReadAheadHost;

  constructor(settings: Settings, store: MessageStore, host: ReadAheadHost) {
    this.#settings = settings;
    this.#store = store;
    this.#host = host;
  }

  run(nowMs: number): void {
    for (const lane of this.#store.lanes) {
      if (lane.isReading || lane.storedCount === 0) continue;
      if (lane.waiting.length >= lowMessages || lane.waitingBytes >= lowBytes) continue;
      if (nowMs < lane.readAgainAtMs) this.#host.retryAt(lane.readAgainAtMs);
      else void this.#read(lane);
    }
  }

  async #read(lane: Lane): Promise<void> {
    lane.isReading = true;
    const from = lane.storedFrom;
    try {
      const messages = await this.#store.read(lane, from);
      lane.isReading = false;
      if (messages.length === 0) await this.#skipDamage(lane, from, "nothing is there");
      for (const message of messages) this.#take(lane, message);
    } catch (error) {
      await this.#failed(lane, from, error);
    }
    lane.isReading = false;
    this.#host.done();
  }

  #take(lane: Lane, stored: StoredMessage): void {
    const { sequenceNumber } = stored;
    // Given up meanwhile, to make room.
    if (sequenceNumber < lane.storedFrom || lane.storedCount === 0) return;
    const assumedBytes = lane.unstore();
    if (lane.settled.has(sequenceNumber)) return this.#host.skipped(assumedBytes, undefined);
    this.#host.reread(stored.bytes - assumedBytes);
    const parked = lane.parked.get(sequenceNumber);
    lane.parked.delete(sequenceNumber);
    this.#host.loaded(lane, this.#message(lane, stored, parked));
  }

  #message(lane: Lane, stored: StoredMessage, parked: Outgoing | undefined): Outgoing {
    const prefix = this.#host.prefix();
    const { payload, qos, sizeBytes, acceptedAtMs, ttlMs } = stored;
    const message =
      parked ?? new Outgoing(prefix, prefix + stored.bag, payload, qos, lane.priority, sizeBytes);
    message.payload = payload;
    message.state = "queued";
    message.sequenceNumber = stored.sequenceNumber;
    message.bytes = stored.bytes;
    message.acceptedAtMs = acceptedAtMs;
    message.ttlMs = ttlMs;
    message.messageId ??= messageIdOf(stored.bag);
    const { clock } = this.#settings;
    if (ttlMs > 0 && parked === undefined) {
      // The wall clock may have jumped meanwhile: nothing waits longer than its whole time from now.
      const leftMs = Math.min(ttlMs, acceptedAtMs + ttlMs - clock.wallMs());
      message.expiresAtMs = clock.nowMs() + leftMs;
    }
    return message;
  }

  async #failed(lane: Lane, from: number, error: unknown): Promise<void> {
    const known = isIotError(error)
      ? error
      : new IotError("device.outbox_unavailable", "Reading the outbox failed", { cause: error });
    if (known.code === "client.closed") return;
    if (known.code === "device.outbox_corrupt") {
      return this.#skipDamage(lane, from, known.message);
    }
    lane.readAgainAtMs = this.#settings.clock.nowMs() + retryMs;
    this.#host.retryAt(lane.readAgainAtMs);
    this.#host.note(known);
  }

  /** What cannot be read is given up, and what is behind it goes on. */
  async #skipDamage(lane: Lane, from: number, why: string): Promise<void> {
    const to = await this.#store.behindDamage(lane, from, lane.storedTo).catch(() => undefined);
    if (to === undefined) {
      lane.readAgainAtMs = this.#settings.clock.nowMs() + retryMs;
      return this.#host.retryAt(lane.readAgainAtMs);
    }
    let lost = 0;
    while (lane.storedFrom < to && lane.storedCount > 0) {
      const sequenceNumber = lane.storedFrom;
      const bytes = lane.unstore();
      if (lane.settled.has(sequenceNumber)) {
        this.#host.skipped(bytes, undefined);
        continue;
      }
      lost += 1;
      this.#store.settled(lane, sequenceNumber);
      const text = `${lost} messages of the outbox cannot be read: ${why}`;
      const parked = lane.parked.get(sequenceNumber);
      lane.parked.delete(sequenceNumber);
      if (parked !== undefined) {
        this.#host.failed(parked, new IotError("device.outbox_corrupt", text));
      }
      this.#host.skipped(bytes, "corrupt");
    }
    if (lost > 0) {
      const text = `${lost} messages of the outbox cannot be read: ${why}`;
      this.#host.note(new IotError("device.outbox_corrupt", text));
    }
  }
}

/** From the bag, where it is the first property that the client writes. */
function messageIdOf(bag: string): string | undefined {
  const value = /(?:^|&)%24\.mid=([^&]*)/.exec(bag)?.[1];
  return value === undefined ? undefined : decodeURIComponent(value);
}
