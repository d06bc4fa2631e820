import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import { isIotError } from "../calls/errors.ts";

/** What the log's codes mean to a device's application. The rest is `device.outbox_unavailable`. */
const codes: Readonly<Record<string, ErrorCode>> = {
  "log.disk_full": "device.outbox_disk_full",
  "log.full_pending": "device.queue_full",
  "log.record_too_large": "device.message_too_large",
  "log.corrupt": "device.outbox_corrupt",
  "log.format_newer": "device.outbox_format_newer",
  "log.closed": "client.closed",
  "log.partitions_fixed": "argument.invalid",
};

const sentences: Readonly<Record<string, string>> = {
  "log.full_pending": "The disk is slower than the messages come",
  "log.partitions_fixed": "The outbox's directory holds something else",
};

/** A `LogError`, or anything else the disk made a call throw, as the caller gets it. By shape: the log is loaded late. */
export function outboxError(error: unknown): IotError {
  if (isIotError(error)) return error;
  const { code, message, cause } = error as { code?: string; message?: string; cause?: unknown };
  // While it reopens, what counts is why it has to.
  if (code === "log.unhealthy" && cause !== undefined) return outboxError(cause);
  const known = codes[code ?? ""] ?? "device.outbox_unavailable";
  const sentence = sentences[code ?? ""];
  const text = sentence === undefined ? "The outbox" : sentence;
  return new IotError(known, `${text}: ${message ?? String(error)}`, { cause: error });
}
