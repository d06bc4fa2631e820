import { constants } from "node:fs";
import type { Stats } from "node:fs";
import { open } from "node:fs/promises";
import { IotError } from "@hubwire/protocol";
import { isIotError } from "../calls/errors.ts";

/**
 * All of a small regular file. It is opened first and looked at then, so that what is checked is what is read.
 * @param check throws when the file may not be used
 * @throws IotError `secret.missing`, `secret.unreadable`, and what `check` throws
 */
export async function readBounded(
  file: string,
  bytesMax: number,
  check?: (stats: Stats) => void,
): Promise<Buffer> {
  try {
    // Without O_NONBLOCK, opening a pipe in the place of the file would wait for ever.
    const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) throw new Error("it is no regular file");
      check?.(stats);
      const buffer = Buffer.alloc(bytesMax + 1);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
      if (bytesRead > bytesMax) throw new Error(`it is larger than ${bytesMax} bytes`);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (isIotError(cause)) throw cause;
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new IotError(isMissing ? "secret.missing" : "secret.unreadable", `${file}: ${text}`, {
      cause,
    });
  }
}

/** The text of a secret file: one line end after it is an editor's, not the secret's. */
export function secretText(bytes: Buffer, name: string): string {
  const text = bytes.toString("utf8").replace(/\r?\n$/u, "");
  if (text === "") throw new IotError("secret.missing", `${name} is empty`);
  return text;
}
