import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";

const codes: Readonly<Record<string, ErrorCode>> = {
  EACCES: "hub.disk_read_only",
  EPERM: "hub.disk_read_only",
  EROFS: "hub.disk_read_only",
  ENOSPC: "hub.disk_full",
  EDQUOT: "hub.disk_full",
  ENOTDIR: "argument.invalid",
  EEXIST: "argument.invalid",
  EISDIR: "argument.invalid",
};

/** What the system's refusal means to whoever started the hub; anything unforeseen stays as it is. */
export async function namingDiskErrors<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code: systemCode, message } = error as NodeJS.ErrnoException;
    const code = codes[systemCode ?? ""];
    if (code === undefined) throw error;
    throw new IotError(code, `${path} cannot be used: ${message}`, { cause: error });
  }
}
