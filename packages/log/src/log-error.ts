const catalog = {
  "log.closed": {
    retryable: false,
    remedy: "Append before close(), or open the log again.",
  },
  "log.corrupt": {
    retryable: false,
    remedy:
      "Stored bytes changed after they were committed. Restore the directory from a copy; the message names the file and where in it.",
  },
  "log.disk_full": {
    retryable: true,
    remedy: "Free space on the disk; the log reopens by itself once it can write again.",
  },
  "log.format_newer": {
    retryable: false,
    remedy: "Use a release at least as new as the one that wrote this directory.",
  },
  "log.full_pending": {
    retryable: true,
    remedy: "Append again after the next commit, or slow the producer down.",
  },
  "log.io": {
    retryable: true,
    remedy: "See the cause; check the disk. The log keeps trying to reopen.",
  },
  "log.no_such_partition": {
    retryable: false,
    remedy: "Use a partition between 0 and the count fixed when the log was created.",
  },
  "log.options_invalid": {
    retryable: false,
    remedy: "Correct the option the message names.",
  },
  "log.partitions_fixed": {
    retryable: false,
    remedy: "Open with the count fixed at creation, or start a new directory.",
  },
  "log.read_only": {
    retryable: true,
    remedy: "Make the directory writable for this process; the log reopens by itself then.",
  },
  "log.record_too_large": {
    retryable: false,
    remedy: "Append smaller records, or open the log with larger segmentBytes and recordBytesMax.",
  },
  "log.unhealthy": {
    retryable: true,
    remedy: "The log is reopening after a failed write; append again once it reports healthy.",
  },
} as const;

export type LogErrorCode = keyof typeof catalog;

/** The one error of this package: branch on `code`; show `message` and `remedy` to people. */
export class LogError extends Error {
  override readonly name = "LogError";
  readonly code: LogErrorCode;
  readonly remedy: string;
  readonly retryable: boolean;

  constructor(code: LogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.remedy = catalog[code].remedy;
    this.retryable = catalog[code].retryable;
  }
}

/** Which of our codes an operating system's error code means; everything else is `log.io`. */
const systemCodes: Readonly<Record<string, LogErrorCode>> = {
  ENOSPC: "log.disk_full",
  EDQUOT: "log.disk_full",
  EROFS: "log.read_only",
  EACCES: "log.read_only",
  EPERM: "log.read_only",
};

/** Names what was being done when the file system refused; a `LogError` passes through unchanged. */
export function toLogError(error: unknown, doing: string): LogError {
  if (error instanceof LogError) return error;
  const code = systemCodes[systemCodeOf(error) ?? ""] ?? "log.io";
  const text = error instanceof Error ? error.message : String(error);
  return new LogError(code, `${doing}: ${text}`, { cause: error });
}

export function systemCodeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
