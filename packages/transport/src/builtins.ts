import type * as Crypto from "node:crypto";
import type * as Net from "node:net";
import type * as Tls from "node:tls";

/*
 * Built-in modules that cost a process something when they are loaded: node:tls with what it brings takes 7 to 20 ms, which
 * is more than all of a device client. They are loaded at the first connection, not at the first import.
 */

export const tls = (): typeof Tls => process.getBuiltinModule("node:tls");
export const net = (): typeof Net => process.getBuiltinModule("node:net");
export const crypto = (): typeof Crypto => process.getBuiltinModule("node:crypto");
