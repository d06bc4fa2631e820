import type { RouteMatch } from "@hubwire/protocol";
import type { RestRequest, RestResponse } from "./exchange.ts";
import type { RestServices } from "./services.ts";

/** A request that found its route and was let in. */
export type Call = { match: RouteMatch; request: RestRequest; services: RestServices };

/** What one row of the route table does. Errors are thrown; the handler gives them their face. */
export type Route = (call: Call) => Promise<RestResponse>;
