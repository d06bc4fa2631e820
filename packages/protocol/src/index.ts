export { catalog, describe, IotError } from "./errors/index.ts";
export type { CatalogEntry, ErrorCode } from "./errors/index.ts";
export * from "./mqtt/index.ts";
export * from "./iothub/index.ts";
export * from "./twin/index.ts";
export * from "./pnp/index.ts";
export * from "./query/index.ts";
export * from "./retry/index.ts";
export * from "./quotas/index.ts";
