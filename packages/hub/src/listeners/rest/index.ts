export type { RestRequest, RestResponse } from "./exchange.ts";
export { createRestHandler, type RestHandler } from "./handler.ts";
export {
  createRestListener,
  restLimitsDefault,
  type RestLimits,
  type RestListener,
  type RestListenerOptions,
} from "./listener.ts";
export type { RestServices } from "./services.ts";
