export type * from "./domain/ports.ts";
export * from "./stores/memory/index.ts";
