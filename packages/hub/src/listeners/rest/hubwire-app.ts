import { apiVersionDefault, IotError, openApiDocument, percentDecode } from "@hubwire/protocol";
import { Hono } from "hono";
import type { Context } from "hono";
import { addCertificateRoutes } from "./certificate-routes.ts";
import type { RestRequest, RestResponse } from "./exchange.ts";
import { Failure } from "./failure.ts";
import type { RestServices } from "./services.ts";

type Env = { Bindings: { request: RestRequest } };

const ownPath = /^\/(?:hubwire\/|(?:healthz|readyz|metrics|openapi\.json)(?:[/?]|$))/;

const probePath = /^\/(?:healthz|readyz)(?:\?|$)/;

/** Whether an address is Hubwire's own rather than one of Azure's. */
export const isHubwirePath = (target: string): boolean => ownPath.test(target);

/**
 * What the hub serves beside Azure's REST API.
 *
 * | address | permission | answer |
 * | --- | --- | --- |
 * | `GET /healthz` | none | 200 `{"status":"ok"}`: the process serves requests |
 * | `GET /readyz` | none | 200 `{"status":"ready"}`, or 503 `{"status":"not ready","reason"}` |
 * | `GET /openapi.json` | none | the OpenAPI document of Azure's routes as served here |
 * | `GET /metrics` | none from this machine, else ServiceConnect | Prometheus text |
 * | `/hubwire/certificates…` | the registry's | see `addCertificateRoutes` |
 *
 * Errors look as on Azure's routes, form A.
 */
export function createHubwireApp(
  services: RestServices,
  stopping: AbortSignal,
): (request: RestRequest) => Promise<RestResponse> {
  const { authenticator } = services;
  const app = new Hono<Env>();

  const authorize = (c: Context<Env>): Promise<void> =>
    authenticator.authorizeService(c.env.request.headers["authorization"], "ServiceConnect");

  app.get("/healthz", (c) => c.json({ status: "ok" }));

  app.get("/readyz", (c) => {
    const reason = stopping.aborted ? "the hub is stopping" : services.unreadyReason();
    return reason === undefined
      ? c.json({ status: "ready" })
      : c.json({ status: "not ready", reason }, 503);
  });

  app.get("/openapi.json", (c) => {
    c.header("content-type", "application/json; charset=utf-8");
    return c.body(openApi());
  });

  app.get("/metrics", async (c) => {
    if (!c.env.request.isLoopback) await authorize(c);
    c.header("content-type", "text/plain; version=0.0.4; charset=utf-8");
    return c.body(await services.metricsText());
  });

  if (services.certificates !== undefined) {
    addCertificateRoutes(app, services.certificates, (request, permission) =>
      authenticator.authorizeService(request.headers["authorization"], permission),
    );
  }

  const allowed: Readonly<Record<string, string>> = {
    "/healthz": "GET",
    "/readyz": "GET",
    "/metrics": "GET",
    "/openapi.json": "GET",
  };
  for (const [path, allow] of Object.entries(allowed)) {
    app.all(path, () => {
      const error = new IotError("route.method_not_allowed", `This address takes ${allow}`);
      throw new Failure(error, { headers: { allow } });
    });
  }
  app.notFound(() => {
    throw new IotError("route.not_found", "The hub has nothing at this address");
  });
  app.onError((error) => {
    throw error;
  });

  return async (request) => {
    const { method, target } = request;
    if (percentDecode(target) === undefined) {
      throw new IotError("request.malformed", "the address is not percent-encoded UTF-8");
    }
    // The router answers HEAD by running GET: right for probes, and for nothing that asks for a token.
    const asked = method === "HEAD" && !probePath.test(target) ? "OPTIONS" : method;
    const url = `https://hub${target}`;
    return toPlain(await app.fetch(toWebRequest(asked, url), { request }));
  };
}

let openApiText: string | undefined;

/** The text is made when somebody asks first. */
const openApi = (): string =>
  (openApiText ??= JSON.stringify(
    openApiDocument({ title: "Hubwire service REST API", version: apiVersionDefault }),
  ));

/** The router looks at method and address only; everything else is read from the plain request. */
function toWebRequest(method: string, url: string): Request {
  try {
    return new Request(url, { method });
  } catch (cause) {
    throw new IotError("request.malformed", "the method or address cannot be read", { cause });
  }
}

async function toPlain(response: Response): Promise<RestResponse> {
  const headers = Object.fromEntries(response.headers);
  return { status: response.status, headers, body: await response.text() };
}
