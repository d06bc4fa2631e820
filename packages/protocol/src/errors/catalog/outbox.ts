import { group } from "./entry.ts";

/** What a device client's outbox tells its caller. */
export const outboxErrors = group({
  // Messages that were given up.
  "device.dropped_expired": {
    retryable: false,
    summary: "A message waited longer than its ttlMs and was given up.",
    remedy: "Nothing, if that is what ttlMs is for; else raise it, or leave it out.",
  },
  "device.dropped_oldest": {
    retryable: false,
    summary: "A message that waited was given up for a newer one: the outbox was full.",
    remedy:
      "Raise outbox.messagesMax or bytesMax, send less, or choose another outbox.whenFull than drop-oldest.",
  },
  "device.dropped_newest": {
    retryable: false,
    summary: "A message was not taken because the outbox was full.",
    remedy:
      "Raise outbox.messagesMax or bytesMax, send less, or choose another outbox.whenFull than drop-newest.",
  },
  "device.dropped_priority": {
    retryable: false,
    summary: "A message was given up because the outbox was full and others are more urgent.",
    remedy: "Raise outbox.messagesMax or bytesMax, send less, or give this message a priority.",
  },

  // The durable outbox.
  "device.outbox_disk_full": {
    retryable: true,
    summary: "The disk is full, so the durable outbox accepts nothing.",
    remedy:
      "Free space. What was accepted before is safe; the outbox takes messages again by itself once it can write.",
  },
  "device.outbox_unavailable": {
    retryable: true,
    summary: "The durable outbox cannot write to or read from its directory.",
    remedy:
      "Read the cause; check the disk and the directory's permissions. The outbox tries again by itself.",
  },
  "device.outbox_locked": {
    retryable: true,
    summary: "Another process has this durable outbox open.",
    remedy: "Stop the other process, or give this one a directory of its own.",
  },
  "device.outbox_format_newer": {
    retryable: false,
    summary: "A newer release has written this durable outbox.",
    remedy:
      "Use a release at least as new as the one that wrote the directory, or let that one empty it first.",
  },
  "device.outbox_corrupt": {
    retryable: false,
    summary:
      "Bytes of the durable outbox changed after they were written; what can still be read is kept and sent.",
    remedy: "Check the disk. The message says how much was lost; the client goes on by itself.",
  },
});
