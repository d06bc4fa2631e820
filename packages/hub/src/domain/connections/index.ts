export { ConnectionRegistry } from "./registry.ts";
export type { DeviceLink } from "./device-link.ts";
