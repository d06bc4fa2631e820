export { createHubEvents } from "./events.ts";
export type { EventSwitches } from "./events.ts";
export { watchConnectionState } from "./connection-state.ts";
