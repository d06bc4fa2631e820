export { createUpgrades } from "./upgrades.ts";
export type { UpgradeListener, UpgradeOptions } from "./upgrades.ts";
export { WebSocketStream } from "./websocket-stream.ts";
