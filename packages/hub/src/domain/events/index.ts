export { createHubEvents } from "./events.ts";
export type { EventSwitches, HubEvents, LifecycleOperation } from "./events.ts";
export { watchConnectionState } from "./connection-state.ts";
