import { StoredTwins, type TwinsOptions } from "./twins.ts";

export { twinOperationsWaitingMax, type TwinsOptions } from "./twins.ts";

/** Twins over documents with compare-and-set: the device's side and the service's side of the same queue. */
export const createTwins = (options: TwinsOptions): StoredTwins => new StoredTwins(options);
