import { endianness } from "node:os";

const isLittle = endianness() === "LE";

/** A CK_ULONG, which handles and many attributes are: in the machine's own form, of four or eight bytes. */
export function readUlong(bytes: Buffer): number {
  if (bytes.length < 8) return isLittle ? bytes.readUInt32LE() : bytes.readUInt32BE();
  return Number(isLittle ? bytes.readBigUInt64LE() : bytes.readBigUInt64BE());
}
