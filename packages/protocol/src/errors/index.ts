export { describe, IotError } from "./iot-error.ts";
export type { ErrorCode } from "./iot-error.ts";
export { catalog } from "./catalog/index.ts";
export type { CatalogEntry } from "./catalog/entry.ts";
