import { isIP } from "node:net";
import { hostname } from "node:os";

/** Names every hub answers to. (OpenSSL and Node match `*.localhost` with nothing; other TLS libraries do.) */
const loopback = ["localhost", "*.localhost", "127.0.0.1", "::1"] as const;

/** The subject alternative names of a hub's certificate: loopback, this machine, and what was configured. No repeats. */
export function certificateNames(configured: readonly string[], machine = hostname()): string[] {
  const names = [...loopback, machine, ...configured].map((name) => name.toLowerCase());
  return [...new Set(names)].filter((name) => name !== "");
}

export const isAddress = (name: string): boolean => isIP(name) !== 0;
