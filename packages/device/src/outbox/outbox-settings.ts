import type { LogFileSystem } from "@hubwire/log";
import { invalid } from "../calls/errors.ts";
import { checkNumber } from "../options/bounds.ts";
import type { DroppedMessage, OutboxOptions, WhenFull } from "./outbox-options.ts";

/** The outbox's options after checking. */
export type OutboxSettings = {
  messagesMax: number;
  bytesMax: number;
  whenFull: WhenFull;
  onDropped: ((message: DroppedMessage) => void) | undefined;
  /** Undefined: in memory. */
  durable:
    | {
        directory: string;
        fileSystem: LogFileSystem | undefined;
        segmentBytes: number | undefined;
      }
    | undefined;
};

const names: ReadonlySet<string> = new Set([
  "kind",
  "messagesMax",
  "bytesMax",
  "whenFull",
  "onDropped",
  "directory",
  "fileSystem",
  "segmentBytes",
]);
const whenFulls: readonly WhenFull[] = [
  "refuse",
  "drop-oldest",
  "drop-newest",
  "drop-lowest-priority",
];

const durableMessagesMax = 1_000_000;
const durableBytesMax = 256 * 1024 * 1024;

/**
 * @param memory the bounds that hold in memory when the outbox brings none of its own
 * @throws IotError `argument.invalid`
 */
export function outboxSettings(
  given: OutboxOptions | undefined,
  memory: { messagesMax: number; bytesMax: number },
): OutboxSettings {
  const options: OutboxOptions = given ?? { kind: "memory" };
  for (const name of Object.keys(options)) {
    if (!names.has(name)) throw invalid(`The outbox has no option ${name}`);
  }
  const { kind, whenFull = "refuse", onDropped } = options;
  if (kind !== "memory" && kind !== "durable") {
    throw invalid(`outbox.kind is memory or durable, not ${String(kind)}`);
  }
  if (!whenFulls.includes(whenFull)) {
    throw invalid(`outbox.whenFull is one of ${whenFulls.join(", ")}, not ${String(whenFull)}`);
  }
  const isDurable = options.kind === "durable";
  const messagesMax = options.messagesMax ?? (isDurable ? durableMessagesMax : memory.messagesMax);
  const bytesMax = options.bytesMax ?? (isDurable ? durableBytesMax : memory.bytesMax);
  checkNumber("outbox.messagesMax", messagesMax, 1, 100_000_000);
  checkNumber("outbox.bytesMax", bytesMax, 1_024, 2 ** 40);
  const common = { messagesMax, bytesMax, whenFull, onDropped };
  if (options.kind === "memory") return { ...common, durable: undefined };
  const { directory, fileSystem, segmentBytes } = options;
  if (segmentBytes !== undefined) {
    checkNumber("outbox.segmentBytes", segmentBytes, 4_096, 64 * 1024 * 1024);
  }
  if (typeof directory !== "string" || directory === "") {
    throw invalid("outbox.directory is missing: a durable outbox needs a directory of its own");
  }
  return { ...common, durable: { directory, fileSystem, segmentBytes } };
}
