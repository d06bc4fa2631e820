import { IotError, isAcceptedApiVersion, matchRoute } from "@hubwire/protocol";
import type { Permission, RestRoute, RouteMatch } from "@hubwire/protocol";
import type { ServicePermission } from "../../domain/services.ts";
import { azureRoutes } from "./azure-routes.ts";
import type { RestRequest, RestResponse } from "./exchange.ts";
import { Failure, tellFailure } from "./failure.ts";
import { createHubwireApp, isHubwirePath } from "./hubwire-app.ts";
import type { RestServices } from "./services.ts";

/** Never rejects. `refusal`: answer with this and do nothing. */
export type RestHandler = (request: RestRequest, refusal?: IotError) => Promise<RestResponse>;

/** The route table says what the service calls `RegistryWrite` in short. */
const asServicePermission = (permission: Permission): ServicePermission =>
  permission === "RegistryWrite" ? "RegistryReadWrite" : permission;

/**
 * The whole REST surface as one function from request to answer.
 * Azure's routes are found by protocol's table (fixed segments ignore case, ids are verbatim), everything of Hubwire's own
 * by a router. `stopping` is what readiness tells.
 */
export function createRestHandler(services: RestServices, stopping: AbortSignal): RestHandler {
  const hubwire = createHubwireApp(services, stopping);
  return async (request, refusal) => {
    const requestId = services.requestId();
    let response: RestResponse;
    try {
      if (refusal !== undefined) throw refusal;
      response = isHubwirePath(request.target)
        ? await hubwire(request)
        : await serveAzure(request, services);
    } catch (thrown) {
      response = refuse(thrown, request, requestId, services);
    }
    return { ...response, headers: { ...response.headers, "x-ms-request-id": requestId } };
  };
}

async function serveAzure(request: RestRequest, services: RestServices): Promise<RestResponse> {
  const match = matchRoute(request.method, request.target);
  if ("error" in match) {
    if (match.error === "malformed") throw new IotError("request.malformed", match.why);
    if (match.error === "not_found") {
      throw new IotError("route.not_found", "The hub has nothing at this address");
    }
    if (match.error === "absent") {
      throw new IotError("route.feature_absent", `This hub has no ${match.feature}`);
    }
    const error = new IotError(
      "route.method_not_allowed",
      `This address does not take ${request.method.slice(0, 16)}`,
    );
    throw new Failure(error, { headers: { allow: match.allow.join(", ") } });
  }
  const version = match.query["api-version"];
  if (!isAcceptedApiVersion(version)) {
    throw new IotError(
      "request.api_version",
      version === undefined ? "api-version is missing" : "This api-version is not served",
    );
  }
  const permission = asServicePermission(match.route.permission);
  const { authorization } = request.headers;
  await services.authenticator.authorizeService(authorization, permission, match.segments);
  return runRoute(match, request, services);
}

/** Some routes tell their errors in a form of their own, once the caller is let in. */
async function runRoute(
  match: RouteMatch,
  request: RestRequest,
  services: RestServices,
): Promise<RestResponse> {
  const route: RestRoute = match.route;
  try {
    return await azureRoutes[match.route.name]({ match, request, services });
  } catch (error) {
    if (route.errorForm === undefined || error instanceof Failure) throw error;
    throw new Failure(error, { form: route.errorForm });
  }
}

function refuse(
  thrown: unknown,
  request: RestRequest,
  requestId: string,
  { clock, logger }: RestServices,
): RestResponse {
  const told = tellFailure(becauseOf(thrown, request.signal), requestId, clock.wallMs());
  const { method, address } = request;
  const facts = { requestId, address, method, path: pathOf(request), code: told.code };
  if (told.response.status === 401) {
    const reason = told.error instanceof Error ? told.error.message : "";
    logger.warn({ ...facts, reason }, "REST call refused");
  } else if (told.code === "hub.internal" && !request.signal.aborted) {
    logger.error({ ...facts, err: told.error }, "REST call failed");
  } else logger.debug(facts, "REST call not done");
  return told.response;
}

/** A call that was cut short by the hub is told the hub's reason. */
function becauseOf(thrown: unknown, signal: AbortSignal): unknown {
  const error = thrown instanceof Failure ? thrown.error : thrown;
  const isCut = error instanceof IotError && error.code === "call.aborted";
  const reason: unknown = signal.reason;
  return isCut && signal.aborted && reason instanceof IotError ? reason : thrown;
}

/** Without the query: nobody's mistake may bring a token into the log. */
const pathOf = ({ target }: RestRequest): string => target.split("?", 1)[0]?.slice(0, 512) ?? "";
