export { ConnectionRegistry } from "./registry.ts";
export type { ConnectionRegistryOptions, SessionOpening } from "./registry.ts";
export type { DeviceLink } from "./device-link.ts";
