import type { LogFileSystem } from "@hubwire/log";
import type { Priority } from "../telemetry/priority.ts";

/** What happens to a message that no room is left for. */
export type WhenFull =
  /** The new one is refused with `device.queue_full`: the caller slows down. */
  | "refuse"
  /** The oldest that was not sent yet makes room: what is newest matters most. */
  | "drop-oldest"
  /** The new one is dropped with `device.dropped_newest`: what happened first matters most. */
  | "drop-newest"
  /** The oldest of a lower priority makes room; when there is none the new one is dropped with `device.dropped_priority`. */
  | "drop-lowest-priority";

/** News of an accepted message that will never be sent; its caller may have been told long ago that it was accepted. */
export type DroppedMessage = {
  reason: "expired" | "queue_full_oldest" | "priority";
  /** Undefined when it has none, or when it was given up unread. */
  messageId: string | undefined;
  priority: Priority;
};

export type OutboxBounds = {
  /** Messages accepted and not settled: 10,000 in memory, 1,000,000 on disk. */
  messagesMax?: number;
  /** Their bytes: body and topic in memory (32 MiB); on disk what they take there (256 MiB). */
  bytesMax?: number;
  /**
   * "refuse": the new message is refused with `device.queue_full`, and nothing accepted is lost. "drop-oldest" keeps the newest
   * messages, "drop-newest" the first ones, "drop-lowest-priority" the most urgent ones.
   */
  whenFull?: WhenFull;
  /** Called with every accepted message that is given up; they are counted in `stats().dropped` too. */
  onDropped?: (message: DroppedMessage) => void;
};

/** Where messages wait that cannot be sent yet. */
export type OutboxOptions =
  /** In memory: gone when the process ends. */
  | ({ kind: "memory" } & OutboxBounds)
  /** On disk: accepted means synced to disk, and sent again after a restart until the hub acknowledged. */
  | ({
      kind: "durable";
      /** For this device and nothing else; made when missing, readable by its owner only. One process at a time. */
      directory: string;
      /** For simulation: the disk. With one of your own the directory is not locked. */
      fileSystem?: LogFileSystem;
      /** For simulation: size of the first file, 1 MiB; a message that does not fit is too large. */
      segmentBytes?: number;
    } & OutboxBounds);
