import type { Stats } from "node:fs";
import { IotError } from "@hubwire/protocol";
import { isIotError } from "../calls/errors.ts";
import { isMissing, readSmallFile } from "../files/private-file.ts";

/**
 * All of a small file that holds a secret.
 * @param check throws when the file may not be used
 * @throws IotError `secret.missing`, `secret.unreadable`, and what `check` throws
 */
export async function readBounded(
  file: string,
  bytesMax: number,
  check?: (stats: Stats) => void,
): Promise<Buffer> {
  try {
    return await readSmallFile(file, bytesMax, check);
  } catch (cause) {
    if (isIotError(cause)) throw cause;
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new IotError(
      isMissing(cause) ? "secret.missing" : "secret.unreadable",
      `${file}: ${text}`,
      {
        cause,
      },
    );
  }
}

/** The text of a secret file: one line end after it is an editor's, not the secret's. */
export function secretText(bytes: Buffer, name: string): string {
  const text = bytes.toString("utf8").replace(/\r?\n$/u, "");
  if (text === "") throw new IotError("secret.missing", `${name} is empty`);
  return text;
}
