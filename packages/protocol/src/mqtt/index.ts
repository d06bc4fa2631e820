export * from "./types.ts";
export type * from "./session-contract.ts";
export * from "./codec/index.ts";
export * from "./client-session.ts";
export * from "./server-session.ts";
export type { InflightMessage, SessionSnapshot } from "./outstanding.ts";
