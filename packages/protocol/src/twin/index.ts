export * from "./check-section.ts";
export * from "./compose-patches.ts";
export * from "./desired-tracker.ts";
export * from "./document.ts";
export * from "./json.ts";
export * from "./may-replace.ts";
export { mergePatch } from "./merge-patch.ts";
export { twinTimestamp } from "./metadata.ts";
export * from "./views.ts";
