export * from "./errors/iot-error.ts";
export { catalog } from "./errors/catalog/index.ts";
export type { CatalogEntry } from "./errors/catalog/entry.ts";
export * from "./mqtt/index.ts";
export * from "./iothub/index.ts";
export * from "./twin/index.ts";
export * from "./pnp/index.ts";
export * from "./retry/index.ts";
export * from "./quotas/index.ts";
