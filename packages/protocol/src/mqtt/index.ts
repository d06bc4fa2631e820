export * from "./types.ts";
export type * from "./session-contract.ts";
