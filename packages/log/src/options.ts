import type { LogFileSystem } from "./file-system.ts";
import { LogError } from "./log-error.ts";
import { nodeFileSystem } from "./node-file-system.ts";
import { openingBytes } from "./opening-frame.ts";

export type LogHealth = { ok: true } | { ok: false; error: LogError };

/** Calls back once after `delayMs`; the function returned calls it off. */
export type Schedule = (delayMs: number, callback: () => void) => () => void;

export type LogOptions = {
  /** Holds one log and nothing else; made when missing. One process at a time: the caller sees to it. */
  directory: string;
  /** Fixed at creation and stored; leave it out to take what is stored (1 for a new log). */
  partitions?: number;
  /** Size of the first segment file; each next one is twice as large, up to `segmentBytesMax`. Default 4 MiB. */
  segmentBytes?: number;
  /** Default 64 MiB, or `segmentBytes` if that is larger. */
  segmentBytesMax?: number;
  /** Segments whose last record is older are deleted. Default: kept forever. */
  retentionMs?: number;
  /** The oldest segments are deleted while all files together take more. Default: unbounded. */
  retentionBytes?: number;
  /** Default: what fits the smallest segment, at most 4 MiB. */
  recordBytesMax?: number;
  /** Records accepted and not yet durable, with their headers. Default 64 MiB. */
  pendingBytesMax?: number;
  /** Recently committed batches kept in memory for readers near the end. Default 4 MiB. */
  cacheBytesMax?: number;
  fileSystem?: LogFileSystem;
  /** Wall clock, Unix ms. It may jump; enqueued times do not go back with it. */
  nowMs?: () => number;
  /** Timers for reopening and retention. The default ones do not keep the process alive. */
  schedule?: Schedule;
  /** Calls back after what is ready in this turn of the event loop; default `setImmediate`. */
  endOfTurn?: (callback: () => void) => void;
  /** A random 32-bit number, drawn once when a log is created. */
  randomUint32?: () => number;
  /** Called on every change. */
  onHealth?: (health: LogHealth) => void;
};

export type LogSettings = Required<Omit<LogOptions, "partitions" | "recordBytesMax">> & {
  partitions: number | undefined;
  recordBytesMax: number;
  /** A batch never grows past it, so that it fits a segment of the smallest size. */
  frameBytesMax: number;
};

export const partitionsMax = 256;
const frameBytesMax = 4 * 1024 * 1024;
const mebibyte = 1024 * 1024;

export function settle(options: LogOptions, frameOverheadBytes: number): LogSettings {
  const { partitions } = options;
  if (partitions !== undefined && !isWithin(partitions, 1, partitionsMax)) {
    throw invalid(`partitions ${partitions} is not a whole number from 1 to ${partitionsMax}`);
  }
  const segmentBytes = options.segmentBytes ?? 4 * mebibyte;
  // Without the option the stored count decides, which is not known yet.
  const openingMax = openingBytes(partitions ?? partitionsMax);
  if (!isWithin(segmentBytes, openingMax + 1024, 1024 * mebibyte)) {
    throw invalid(`segmentBytes ${segmentBytes} is not from ${openingMax + 1024} to 1 GiB`);
  }
  const frameMax = Math.min(frameBytesMax, segmentBytes - openingMax);
  const recordMax = frameMax - frameOverheadBytes;
  const recordBytesMax = options.recordBytesMax ?? recordMax;
  if (!isWithin(recordBytesMax, 1, recordMax)) {
    throw invalid(`recordBytesMax ${recordBytesMax} is not from 1 to ${recordMax}`);
  }
  const retentionBytes = options.retentionBytes ?? Infinity;
  const segmentBytesMax = Math.max(segmentBytes, options.segmentBytesMax ?? 64 * mebibyte);
  return {
    directory: options.directory,
    partitions,
    segmentBytes,
    // Retention drops whole segments: with few large ones it would drop too much at once.
    segmentBytesMax: Math.max(
      segmentBytes,
      Math.min(segmentBytesMax, Math.floor(retentionBytes / 8)),
    ),
    retentionMs: options.retentionMs ?? Infinity,
    retentionBytes,
    recordBytesMax,
    frameBytesMax: frameMax,
    pendingBytesMax: options.pendingBytesMax ?? 64 * mebibyte,
    cacheBytesMax: options.cacheBytesMax ?? 4 * mebibyte,
    fileSystem: options.fileSystem ?? nodeFileSystem,
    nowMs: options.nowMs ?? Date.now,
    schedule: options.schedule ?? scheduleUnref,
    endOfTurn: options.endOfTurn ?? setImmediate,
    randomUint32: options.randomUint32 ?? cryptoUint32,
    onHealth: options.onHealth ?? (() => {}),
  };
}

function invalid(message: string): LogError {
  return new LogError("log.options_invalid", message);
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

function scheduleUnref(delayMs: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delayMs).unref();
  return () => clearTimeout(timer);
}

function cryptoUint32(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}
