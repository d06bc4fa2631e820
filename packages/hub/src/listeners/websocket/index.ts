export { createUpgrades } from "./upgrades.ts";
export type { UpgradeListener } from "./upgrades.ts";
