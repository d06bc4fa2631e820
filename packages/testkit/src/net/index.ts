export { Cable } from "./cable.ts";
export type { CutOptions, Direction } from "./cable.ts";
export { CuttingProxy } from "./cutting-proxy.ts";
export type { CuttingProxyOptions, ProxyDirection } from "./cutting-proxy.ts";
export type { InFlight, LaneOptions } from "./lane.ts";
export { SimulatedNetwork } from "./network.ts";
export type { DialOptions, SimulatedNetworkOptions, Standing } from "./network.ts";
