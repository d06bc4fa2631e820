import { EventStream } from "../calls/event-stream.ts";
import { isFinal } from "../connection/status.ts";
import type { DeviceStatus } from "../connection/status.ts";
import type { Settings } from "../options/settings.ts";
import { StatusNews } from "./status-news.ts";

/** Statuses held for a slow reader of `statusChanges()`; beyond it the oldest go. */
const statusBufferMax = 256;

/** Who hears of a client's status: the channels, the loops of `statusChanges()`, `onStatus`. */
export class StatusFeed {
  readonly #settings: Settings;
  readonly #onStatus: ((status: DeviceStatus) => void) | undefined;
  readonly #news: StatusNews;
  readonly #streams = new Set<EventStream<DeviceStatus>>();

  constructor(settings: Settings, onStatus: ((status: DeviceStatus) => void) | undefined) {
    this.#settings = settings;
    this.#onStatus = onStatus;
    this.#news = new StatusNews(settings.stats);
  }

  /** @param status the one now, which comes first */
  stream(
    status: DeviceStatus,
    signal: AbortSignal | undefined,
  ): AsyncIterableIterator<DeviceStatus, undefined> {
    const stream: EventStream<DeviceStatus> = new EventStream<DeviceStatus>({
      what: "statusChanges()",
      signal,
      bufferMax: statusBufferMax,
      onOverflow: (buffer, latest) => {
        buffer.shift();
        buffer.push(latest);
      },
      onDone: () => this.#streams.delete(stream),
    });
    stream.push(status);
    if (isFinal(status)) stream.end();
    else if (stream.isOpen) this.#streams.add(stream);
    return stream;
  }

  /** The channels come first: what the application does next is a consequence. */
  toChannels(status: DeviceStatus): void {
    this.#news.tell(status, this.#settings.endpoint);
  }

  toApplication(status: DeviceStatus): void {
    for (const stream of this.#streams) {
      stream.push(status);
      if (isFinal(status)) stream.end();
    }
    try {
      this.#onStatus?.(status);
    } catch (error) {
      this.#settings.onError(error, "onStatus");
    }
  }
}
