import { IotError, listedDevicesMax } from "@hubwire/protocol";
import type { RestRouteName, RouteMatch } from "@hubwire/protocol";
import type { Identity, IdentityRef } from "../../domain/services.ts";
import { formatBulkResult, parseBulk } from "./bulk-json.ts";
import { ifMatchOf } from "./etag.ts";
import { emptyResponse, jsonResponse } from "./exchange.ts";
import type { RestResponse } from "./exchange.ts";
import { Failure, headersOf } from "./failure.ts";
import { abandonFeedback, completeFeedback, receiveFeedback } from "./feedback-routes.ts";
import { formatDevice, formatModule, parseIdentityWrite } from "./identity-json.ts";
import { parseBody, readJsonBytes } from "./json-body.ts";
import { parseMethodCall, timeSpan } from "./method-json.ts";
import { runQuery } from "./query-routes.ts";
import type { Route } from "./route.ts";
import type { RestServices } from "./services.ts";

const KIB = 1024;
/** Bounds of request bodies. Twins are sent back whole, with metadata several times their size. */
const identityBytesMax = 64 * KIB;
const twinBytesMax = 1024 * KIB;
/** A hundred identities, some with tags and desired properties. */
const bulkBytesMax = 4096 * KIB;
/** The payload's 128 KB and room for the members around it. */
const methodBytesMax = 136 * KIB;

/** Device or module, as the path says. */
function refOf({ params }: RouteMatch): IdentityRef {
  const { deviceId, moduleId } = params;
  return { deviceId, moduleId: moduleId === "" ? undefined : moduleId };
}

const withEtag = (value: object, etag: string): RestResponse =>
  jsonResponse(200, value, { etag: `"${etag}"` });

async function showDevice(identity: Identity, services: RestServices): Promise<object> {
  const waiting = await services.c2d.count(identity.deviceId, identity.generationId);
  return formatDevice(identity, services.connections.presence(identity), waiting);
}

const showModule = (identity: Identity, services: RestServices): object =>
  formatModule(identity, services.connections.presence(identity));

const show = async (identity: Identity, services: RestServices): Promise<object> =>
  identity.moduleId === undefined ? showDevice(identity, services) : showModule(identity, services);

const getIdentity: Route = async ({ match, services }) => {
  const ref = refOf(match);
  const identity = await services.identities.find(ref);
  if (identity === undefined) throw await missing(ref, services);
  return withEtag(await show(identity, services), identity.etag);
};

async function missing(ref: IdentityRef, { identities }: RestServices): Promise<IotError> {
  const { deviceId, moduleId } = ref;
  const isModule =
    moduleId !== undefined && (await identities.find({ deviceId, moduleId: undefined }));
  return isModule
    ? new IotError("module.not_found", `Device "${deviceId}" has no module "${moduleId}"`)
    : new IotError("device.not_found", `Device "${deviceId}" is not registered`);
}

const putIdentity: Route = async ({ match, request, services }) => {
  const { deviceId, moduleId } = refOf(match);
  const body = parseBody(await readJsonBytes(request, identityBytesMax));
  const write = parseIdentityWrite(body, deviceId, moduleId);
  const ifMatch = ifMatchOf(request);
  const identity =
    ifMatch === undefined
      ? await services.identities.create(write)
      : await services.identities.update(write, ifMatch);
  return withEtag(await show(identity, services), identity.etag);
};

const deleteIdentity: Route = async ({ match, request, services }) => {
  await services.identities.delete(refOf(match), ifMatchOf(request));
  return emptyResponse(204);
};

const listDevices: Route = async ({ match, services }) => {
  const text = match.query["top"] ?? String(listedDevicesMax);
  const top = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (top < 1) throw new IotError("argument.invalid", `top is a number from 1`);
  const found = await services.identities.listDevices(Math.min(top, listedDevicesMax));
  return jsonResponse(200, await Promise.all(found.map((one) => showDevice(one, services))));
};

const listModules: Route = async ({ match, services }) => {
  const found = await services.identities.listModules(match.params.deviceId);
  return jsonResponse(
    200,
    found.map((one) => showModule(one, services)),
  );
};

const getTwin: Route = async ({ match, services }) => {
  const { twin, etag } = await services.twins.read(refOf(match));
  return withEtag(twin, etag);
};

const writeTwin =
  (how: "patch" | "replace"): Route =>
  async ({ match, request, services }) => {
    const body = parseBody(await readJsonBytes(request, twinBytesMax));
    const written = await services.twins[how](refOf(match), body, ifMatchOf(request));
    return withEtag(written.twin, written.etag);
  };

const invokeMethod: Route = async ({ match, request, services }) => {
  const call = parseMethodCall(await readJsonBytes(request, methodBytesMax));
  try {
    const { status, payload } = await services.methods.invoke(refOf(match), call, request.signal);
    return jsonResponse(200, { status, payload });
  } catch (error) {
    if (!(error instanceof IotError) || error.code !== "device.not_online") throw error;
    throw new Failure(error, { form: "C", info: { timeout: timeSpan(call.connectTimeoutS) } });
  }
};

const purgeCommands: Route = async ({ match, services }) => {
  const { deviceId } = match.params;
  const { purged } = await services.c2d.purge(deviceId);
  return jsonResponse(200, { deviceId, moduleId: null, totalMessagesPurged: purged });
};

const deviceStatistics: Route = async ({ services }) => {
  const { total, enabled, disabled } = await services.identities.statistics();
  return jsonResponse(200, {
    totalDeviceCount: total,
    enabledDeviceCount: enabled,
    disabledDeviceCount: disabled,
  });
};

const serviceStatistics: Route = async ({ services }) =>
  jsonResponse(200, { connectedDeviceCount: services.connections.count });

/** Some may have failed: 400 then, with the same body, which is how the service says so. */
const bulk: Route = async ({ request, services }) => {
  const items = parseBulk(parseBody(await readJsonBytes(request, bulkBytesMax)));
  const result = formatBulkResult(await services.bulk.run(items));
  if (result.isSuccessful) return jsonResponse(200, result);
  return jsonResponse(400, result, headersOf("request.bulk_failed"));
};

/** What each route of the table does. */
export const azureRoutes: Readonly<Record<RestRouteName, Route>> = {
  "devices.list": listDevices,
  "devices.bulk": bulk,
  "devices.query": runQuery,
  "device.get": getIdentity,
  "device.put": putIdentity,
  "device.delete": deleteIdentity,
  "commands.purge": purgeCommands,
  "modules.list": listModules,
  "module.get": getIdentity,
  "module.put": putIdentity,
  "module.delete": deleteIdentity,
  "twin.get": getTwin,
  "twin.patch": writeTwin("patch"),
  "twin.put": writeTwin("replace"),
  "moduleTwin.get": getTwin,
  "moduleTwin.patch": writeTwin("patch"),
  "moduleTwin.put": writeTwin("replace"),
  "method.invoke": invokeMethod,
  "moduleMethod.invoke": invokeMethod,
  "statistics.devices": deviceStatistics,
  "statistics.service": serviceStatistics,
  "feedback.receive": receiveFeedback,
  "feedback.complete": completeFeedback,
  "feedback.abandon": abandonFeedback,
};
