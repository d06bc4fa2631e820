import type { DeviceIdentity } from "./identity-id.ts";
import { identityPath } from "./topics.ts";

/** What a device publishes, as the hub reads it. `bag` is raw text for `parseD2cProperties`; `rid` is verbatim. */
export type DeviceTopic =
  | { type: "telemetry"; bag: string }
  | { type: "methodResponse"; status: number; rid: string }
  | { type: "twinGet"; rid: string }
  /** `version`: apply only if this still is the reported `$version`. */
  | { type: "twinReport"; rid: string; version?: number }
  | { type: "certificateIssue"; rid: string }
  /** Not for this identity. `fatal`: the hub closes the connection; otherwise it ignores the message. */
  | { type: "foreign"; why: string; fatal: boolean };

/** What a hub publishes, as the device reads it. */
export type HubTopic =
  /** `moduleId` is set when a gateway delivers to a module. */
  | { type: "c2d"; deviceId: string; moduleId?: string; bag: string }
  | { type: "moduleInput"; deviceId: string; moduleId: string; input: string; bag: string }
  | { type: "method"; name: string; rid: string }
  | { type: "twinResponse"; status: number; rid: string; version?: number }
  | { type: "desired"; version: number }
  | { type: "certificateResponse"; status: number; rid: string }
  | { type: "unknown"; why: string };

/** What a device may subscribe to. */
export type DeviceFilter =
  | { type: "c2d" }
  | { type: "methods" }
  | { type: "twinResponses" }
  | { type: "desired" }
  | { type: "moduleInputs" }
  | { type: "credentials" }
  | { type: "foreign"; why: string };

const foreign = (why: string, fatal = true): DeviceTopic => ({ type: "foreign", why, fatal });

/** Reads a topic a device published, given whom its connection authenticated as. Never throws. */
export function parseDeviceTopic(topic: string, identity: DeviceIdentity): DeviceTopic {
  if (topic.startsWith("devices/")) return parseEventsTopic(topic, identity);
  if (topic.startsWith("$iothub/methods/res/")) {
    const [status, request] = statusAndRequest(topic, "$iothub/methods/res/".length);
    // What Azure does with a malformed method answer is not known; ignoring it harms nobody.
    if (status === undefined) return foreign("the method status is not a 32-bit integer", false);
    if (request?.rid === undefined) return foreign("the method answer has no $rid", false);
    return { type: "methodResponse", status, rid: request.rid };
  }
  if (topic.startsWith("$iothub/twin/GET/")) {
    const request = parseRequest(topic, "$iothub/twin/GET/".length);
    return request?.rid === undefined
      ? foreign("the twin request has no ?$rid=")
      : { type: "twinGet", rid: request.rid };
  }
  if (topic.startsWith(REPORT)) {
    const request = parseRequest(topic, REPORT.length);
    if (request?.rid === undefined) return foreign("the reported patch has no ?$rid=");
    if (request.version === null) return foreign("the $version is not a whole number");
    return request.version === undefined
      ? { type: "twinReport", rid: request.rid }
      : { type: "twinReport", rid: request.rid, version: request.version };
  }
  if (topic.startsWith(ISSUE)) {
    const request = parseRequest(topic, ISSUE.length);
    return request?.rid === undefined
      ? foreign("the certificate request has no ?$rid=")
      : { type: "certificateIssue", rid: request.rid };
  }
  return foreign("no device publishes to this topic");
}

const REPORT = "$iothub/twin/PATCH/properties/reported/";
const ISSUE = "$iothub/credentials/POST/issueCertificate/";
const DESIRED = "$iothub/twin/PATCH/properties/desired/";

function parseEventsTopic(topic: string, identity: DeviceIdentity): DeviceTopic {
  const events = `${identityPath(identity)}/messages/events`;
  if (!topic.startsWith(events)) {
    return foreign(
      topic.startsWith(`${identityPath(identity)}/`)
        ? "the device publishes only to messages/events/ below its own id"
        : "the topic names another identity than the connection's",
    );
  }
  if (topic.length === events.length) return { type: "telemetry", bag: "" };
  return topic.charAt(events.length) === "/"
    ? { type: "telemetry", bag: topic.slice(events.length + 1) }
    : foreign("the device publishes only to messages/events/ below its own id");
}

/** Reads a topic the hub published. Never throws. */
export function parseHubTopic(topic: string): HubTopic {
  if (topic.startsWith("devices/")) return parseMessageTopic(topic);
  if (topic.startsWith("$iothub/methods/POST/")) {
    const start = "$iothub/methods/POST/".length;
    const slash = topic.indexOf("/", start);
    const name = slash < 0 ? "" : topic.slice(start, slash);
    const rid = slash < 0 ? undefined : parseRequest(topic, slash + 1)?.rid;
    return name === "" || rid === undefined
      ? { type: "unknown", why: "the method request has no name or $rid" }
      : { type: "method", name, rid };
  }
  if (topic.startsWith("$iothub/twin/res/")) {
    const [status, request] = statusAndRequest(topic, "$iothub/twin/res/".length);
    if (status === undefined || request?.rid === undefined || request.version === null) {
      return { type: "unknown", why: "the twin answer has no status or $rid" };
    }
    return request.version === undefined
      ? { type: "twinResponse", status, rid: request.rid }
      : { type: "twinResponse", status, rid: request.rid, version: request.version };
  }
  if (topic.startsWith(DESIRED)) {
    const version = parseRequest(topic, DESIRED.length)?.version;
    return typeof version === "number"
      ? { type: "desired", version }
      : { type: "unknown", why: "the desired properties have no $version" };
  }
  if (topic.startsWith("$iothub/credentials/res/")) {
    const [status, request] = statusAndRequest(topic, "$iothub/credentials/res/".length);
    return status === undefined || request?.rid === undefined
      ? { type: "unknown", why: "the certificate answer has no status or $rid" }
      : { type: "certificateResponse", status, rid: request.rid };
  }
  return { type: "unknown", why: "no hub publishes to this topic" };
}

/** `devices/{d}[/modules/{m}]/messages/devicebound/{bag}` and `devices/{d}/modules/{m}/inputs/{input}/{bag}` */
function parseMessageTopic(topic: string): HubTopic {
  const unknown: HubTopic = { type: "unknown", why: "neither messages/devicebound/ nor inputs/" };
  const [, deviceId = "", ...levels] = topic.split("/");
  if (deviceId === "") return unknown;
  const moduleId = levels[0] === "modules" ? levels[1] : undefined;
  if (moduleId === "") return unknown;
  const rest = moduleId === undefined ? levels : levels.slice(2);
  if (rest[0] === "messages" && rest[1] === "devicebound") {
    const bag = rest.slice(2).join("/");
    return moduleId === undefined
      ? { type: "c2d", deviceId, bag }
      : { type: "c2d", deviceId, moduleId, bag };
  }
  const input = rest[1] ?? "";
  if (moduleId === undefined || rest[0] !== "inputs" || input === "") return unknown;
  return { type: "moduleInput", deviceId, moduleId, input, bag: rest.slice(2).join("/") };
}

/**
 * Reads a filter a device subscribes to. A `+` in the device's place means "me": the embedded C SDK subscribes so.
 * Every other wildcard, and every other filter, is foreign. Never throws.
 */
export function parseDeviceFilter(filter: string, identity: DeviceIdentity): DeviceFilter {
  switch (filter) {
    case "$iothub/methods/POST/#":
      return { type: "methods" };
    case "$iothub/twin/res/#":
      return { type: "twinResponses" };
    case "$iothub/twin/PATCH/properties/desired/#":
      return { type: "desired" };
    case "$iothub/credentials/res/#":
      return { type: "credentials" };
  }
  if (!filter.startsWith("devices/")) return { type: "foreign", why: "not a documented filter" };
  const own = filter.startsWith("devices/+/")
    ? `devices/${identity.deviceId}${filter.slice("devices/+".length)}`
    : filter;
  const path = identityPath(identity);
  if (!own.startsWith(`${path}/`)) {
    return { type: "foreign", why: "the filter names another identity than the connection's" };
  }
  const rest = own.slice(path.length + 1);
  if (rest === "messages/devicebound/#") return { type: "c2d" };
  if (identity.moduleId !== undefined && (rest === "inputs/#" || rest === "#")) {
    return { type: "moduleInputs" };
  }
  return { type: "foreign", why: "below a device's id only messages/devicebound/# is served" };
}

type Request = {
  rid: string | undefined;
  /** null when it is there and no whole number. */
  version: number | null | undefined;
};

/** `{status}/?$rid=…` from `start` on. */
function statusAndRequest(
  topic: string,
  start: number,
): [status: number | undefined, request: Request | undefined] {
  const slash = topic.indexOf("/", start);
  if (slash < 0) return [undefined, undefined];
  const text = topic.slice(start, slash);
  if (!/^-?\d{1,10}$/.test(text)) return [undefined, undefined];
  const status = Number(text);
  return [(status | 0) === status ? status : undefined, parseRequest(topic, slash + 1)];
}

/** `?$rid={rid}[&$version={n}]` from `start` to the end; the slash before the `?` is mandatory and lies before `start`. */
function parseRequest(topic: string, start: number): Request | undefined {
  if (topic.charAt(start) !== "?") return undefined;
  const request: Request = { rid: undefined, version: undefined };
  for (const pair of topic.slice(start + 1).split("&")) {
    const equals = pair.indexOf("=");
    if (equals < 0) continue;
    const name = pair.slice(0, equals);
    const value = pair.slice(equals + 1);
    if (name === "$rid" || name === "%24rid") request.rid ??= value === "" ? undefined : value;
    else if (name === "$version" || name === "%24version") {
      request.version ??= /^\d{1,15}$/.test(value) ? Number(value) : null;
    }
  }
  return request;
}
