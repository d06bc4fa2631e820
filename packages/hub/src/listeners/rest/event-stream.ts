import { encodeUtf8, IotError } from "@hubwire/protocol";
import type { TelemetryStart } from "../../domain/ports.ts";
import type { TelemetryReader } from "../../domain/services.ts";
import { formatEventLine } from "./event-json.ts";

/** One read of one partition. A reader that does not take its data holds at most one round of these. */
const batchMax = { recordsMax: 256, bytesMax: 256 * 1024 };

export type EventQuery = { partitions: readonly number[]; from: TelemetryStart; follow: boolean };

/**
 * Reads the query of `GET /hubwire/events`:
 *
 * | name | value |
 * | --- | --- |
 * | `partition` | a partition number; all when left out |
 * | `from` | `first` (default), `end`, a sequence number (inclusive), or an ISO 8601 time |
 * | `follow` | `true` stays and sends what comes; default: ends at what is there now |
 *
 * @throws IotError `argument.invalid`
 */
export function parseEventQuery(
  query: Readonly<Record<string, string | undefined>>,
  partitionCount: number,
): EventQuery {
  const all = Array.from({ length: partitionCount }, (_, index) => index);
  const { partition, from = "first", follow = "false" } = query;
  if (partition !== undefined && !all.map(String).includes(partition)) {
    throw new IotError("argument.invalid", `partition is a number from 0 to ${partitionCount - 1}`);
  }
  if (follow !== "true" && follow !== "false") {
    throw new IotError("argument.invalid", "follow is true or false");
  }
  return {
    partitions: partition === undefined ? all : [Number(partition)],
    from: parseStart(from),
    follow: follow === "true",
  };
}

function parseStart(text: string): TelemetryStart {
  if (text === "first" || text === "end") return text;
  if (/^\d{1,15}$/.test(text)) return { sequenceNumber: Number(text) };
  const enqueuedTimeMs = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(enqueuedTimeMs)) return { enqueuedTimeMs };
  throw new IotError(
    "argument.invalid",
    "from is first, end, a sequence number or an ISO 8601 time",
  );
}

type Cursor = { partition: number; from: TelemetryStart; untilSequenceNumber: number };

/**
 * Telemetry as newline-delimited JSON, in order per partition and by enqueued time among those read together. Pulled: nothing
 * is read before the reader has taken what was. Ends at the newest, or with `follow` when `ended` aborts.
 */
export async function* streamEvents(
  telemetry: TelemetryReader,
  query: EventQuery,
  ended: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const news = new News(telemetry, ended);
  try {
    const cursors = query.partitions.map((partition): Cursor => {
      const next = telemetry.partition(partition).nextSequenceNumber;
      const from = query.from === "end" ? { sequenceNumber: next } : query.from;
      return { partition, from, untilSequenceNumber: query.follow ? Infinity : next };
    });
    while (!ended.aborted) {
      const text = await readRound(telemetry, cursors);
      if (text !== "") yield encodeUtf8(text);
      else if (query.follow) await news.next();
      else return;
    }
  } finally {
    news.close();
  }
}

async function readRound(telemetry: TelemetryReader, cursors: readonly Cursor[]): Promise<string> {
  const batches = await Promise.all(cursors.map((cursor) => readBatch(telemetry, cursor)));
  const events = batches.flat();
  if (batches.filter((batch) => batch.length > 0).length > 1) {
    // Stable, and enqueued time never goes back within a partition: its order stays.
    events.sort((a, b) => a.enqueuedTimeMs - b.enqueuedTimeMs);
  }
  return events.map(formatEventLine).join("");
}

async function readBatch(telemetry: TelemetryReader, cursor: Cursor) {
  const read = await telemetry.read(cursor.partition, cursor.from, batchMax);
  const last = read.at(-1);
  if (last !== undefined) cursor.from = { sequenceNumber: last.sequenceNumber + 1 };
  return read.filter((event) => event.sequenceNumber < cursor.untilSequenceNumber);
}

/** Waits for a commit without missing one that came between the read and the wait. */
class News {
  readonly #unsubscribe: () => void;
  readonly #ended: AbortSignal;
  #has = false;
  #wake: (() => void) | undefined;
  readonly #onNews = (): void => {
    this.#has = true;
    this.#wake?.();
  };

  constructor(telemetry: TelemetryReader, ended: AbortSignal) {
    this.#ended = ended;
    this.#unsubscribe = telemetry.onCommit(this.#onNews);
    ended.addEventListener("abort", this.#onNews);
  }

  async next(): Promise<void> {
    if (!this.#has) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#has = false;
    this.#wake = undefined;
  }

  close(): void {
    this.#unsubscribe();
    this.#ended.removeEventListener("abort", this.#onNews);
  }
}
