import { apiVersionDefault, IotError, openApiDocument, percentDecode } from "@hubwire/protocol";
import { Hono } from "hono";
import type { Context } from "hono";
import { addCertificateRoutes } from "./certificate-routes.ts";
import { parseC2dSend } from "./c2d-json.ts";
import { parseEventQuery, streamEvents } from "./event-stream.ts";
import type { RestRequest, RestResponse } from "./exchange.ts";
import { Failure } from "./failure.ts";
import { parseBody, readJsonBytes } from "./json-body.ts";
import type { RestServices } from "./services.ts";

/** 64 KB of message in base64, or as JSON text with escapes. */
const c2dSendBytesMax = 512 * 1024;
/** Readers of live telemetry at a time. */
const eventStreamsMax = 100;

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
 * | `POST /hubwire/devices/{deviceId}/messages` | ServiceConnect | 201 `{"messageId","sequence"}`; body: `parseC2dSend` |
 * | `GET /hubwire/events` | ServiceConnect | newline-delimited JSON; query: `parseEventQuery`, lines: `formatEventLine` |
 *
 * The last two stand in for AMQP. Errors look as on Azure's routes, form A.
 */
export function createHubwireApp(
  services: RestServices,
  stopping: AbortSignal,
): (request: RestRequest) => Promise<RestResponse> {
  const { authenticator, c2d, telemetry } = services;
  const app = new Hono<Env>();
  let eventStreams = 0;

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

  app.post("/hubwire/devices/:deviceId/messages", async (c) => {
    await authorize(c);
    const body = parseBody(await readJsonBytes(c.env.request, c2dSendBytesMax));
    return c.json(await c2d.send(c.req.param("deviceId"), parseC2dSend(body)), 201);
  });

  app.get("/hubwire/events", async (c) => {
    await authorize(c);
    const query = parseEventQuery(c.req.query(), telemetry.partitionCount);
    if (eventStreams >= eventStreamsMax) {
      throw new IotError("hub.busy", `${eventStreamsMax} readers of events are connected`);
    }
    eventStreams++;
    const ended = AbortSignal.any([stopping, c.env.request.signal]);
    const stream = pulled(streamEvents(telemetry, query, ended), () => eventStreams--);
    c.header("content-type", "application/x-ndjson; charset=utf-8");
    c.header("cache-control", "no-store");
    return c.body(stream);
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
    "/hubwire/devices/:deviceId/messages": "POST",
    "/hubwire/events": "GET",
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
    // The router answers HEAD by running GET: right for probes, but nobody would ever end a stream of events.
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
  const isStream = headers["content-type"]?.startsWith("application/x-ndjson") === true;
  const body = isStream ? (response.body ?? undefined) : await response.text();
  return { status: response.status, headers, body };
}

/** A stream that asks for the next chunk only when the last one was taken, and ends its source whichever side ends it. */
function pulled(
  source: AsyncGenerator<Uint8Array, void, undefined>,
  onEnd: () => void,
): ReadableStream<Uint8Array> {
  let isOver = false;
  const over = (): void => {
    if (!isOver) onEnd();
    isOver = true;
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await source.next();
          if (done !== true) return controller.enqueue(value);
          controller.close();
        } catch (error) {
          controller.error(error);
        }
        over();
      },
      async cancel() {
        over();
        await source.return();
      },
    },
    { highWaterMark: 0 },
  );
}
