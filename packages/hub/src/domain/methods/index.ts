import { DirectMethods, type MethodsOptions } from "./methods.ts";

export { methodsInFlightMax, type MethodsOptions } from "./methods.ts";
export { parseLossless } from "./lossless-json.ts";

/** Direct methods over the live connections of this hub. */
export const createMethods = (options: MethodsOptions): DirectMethods => new DirectMethods(options);
