export * from "./token-bucket.ts";
export * from "./daily-budget.ts";
export * from "./tier-presets.ts";
