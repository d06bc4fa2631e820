export type { RestRequest, RestResponse } from "./exchange.ts";
export { createRestHandler } from "./handler.ts";
export {
  createRestListener,
  restLimitsDefault,
  type RestLimits,
  type RestListener,
} from "./listener.ts";
export type { RestServices } from "./services.ts";
