import { IotError } from "../errors/iot-error.ts";
import { isDeviceId, isModuleId, isSystemModuleId } from "./identity-id.ts";
import type { DeviceIdentity } from "./identity-id.ts";
import { percentDecode, percentEncode } from "./percent.ts";

/** What the MQTT user name says. Everything but host and ids is informational. */
export type MqttUsername = DeviceIdentity & {
  hostName: string;
  /** Absent in the shortest accepted form, `host/device`. */
  apiVersion?: string;
  /** The SDK's user agent, decoded. */
  clientType?: string;
  /** DTMI of the device's model; only with an api-version that knows models. */
  modelId?: string;
  /** Nested edge: the chain of gateways the token goes through, decoded. */
  authChain?: string;
};

/** What today's SDKs send (observed in the Node, C# and Java device SDKs). */
export const defaultApiVersion = "2021-04-12";
/** Older api-versions do not know `model-id`. */
const modelIdSince = "2020-09-30";

/**
 * `{host}/{device}[/{module}]/?api-version=…[&DeviceClientType=…][&model-id=…]`; the part before `?` is verbatim.
 * @see Azure IoT Hub docs, "Communicate with your IoT hub using the MQTT protocol"
 */
export function formatMqttUsername(username: {
  hostName: string;
  deviceId: string;
  moduleId?: string | undefined;
  apiVersion?: string | undefined;
  clientType?: string | undefined;
  modelId?: string | undefined;
}): string {
  const module = username.moduleId === undefined ? "" : `/${username.moduleId}`;
  let text = `${username.hostName}/${username.deviceId}${module}/?api-version=${username.apiVersion ?? defaultApiVersion}`;
  if (username.modelId !== undefined) text += `&model-id=${encode("modelId", username.modelId)}`;
  if (username.clientType !== undefined) {
    text += `&DeviceClientType=${encode("clientType", username.clientType)}`;
  }
  return text;
}

/**
 * Accepts what real clients send: `host/dev/?api-version=…`, `host/dev/api-version=…` without the question mark,
 * `host/dev` alone, and each with or without the slash before the query.
 * @throws IotError `auth.username_malformed`
 */
export function parseMqttUsername(text: string): MqttUsername {
  const slash = text.indexOf("/");
  if (slash <= 0) throw malformed("it has no host followed by a slash");
  const rest = text.slice(slash + 1);
  const query = findQuery(rest);
  const path = query === undefined ? withoutSlash(rest) : rest.slice(0, query.start);
  const [deviceId = "", moduleId, ...more] = path.split("/");
  if (!isDeviceId(deviceId)) throw malformed("the part behind the host is not a device id");
  if (moduleId !== undefined && !isConnectableModule(moduleId)) {
    throw malformed("the part behind the device id is neither a module id nor ?api-version=…");
  }
  if (more.length > 0) throw malformed("it has more parts than host, device and module");
  const username: MqttUsername = { hostName: text.slice(0, slash), deviceId };
  if (moduleId !== undefined) username.moduleId = moduleId;
  if (query !== undefined) readQuery(rest.slice(query.end), username);
  return username;
}

/**
 * `{deviceId}` or `{deviceId}/{moduleId}`.
 * @throws IotError `auth.client_id_empty`, `auth.client_id_malformed`
 */
export function parseClientId(text: string): DeviceIdentity {
  if (text === "") throw new IotError("auth.client_id_empty", "The client id is empty");
  const [deviceId = "", moduleId, ...more] = text.split("/");
  const good =
    isDeviceId(deviceId) &&
    (moduleId === undefined || isConnectableModule(moduleId)) &&
    more.length === 0;
  if (!good) {
    throw new IotError(
      "auth.client_id_malformed",
      "The client id is neither a device id nor {deviceId}/{moduleId}",
    );
  }
  return moduleId === undefined ? { deviceId } : { deviceId, moduleId };
}

const withoutSlash = (path: string): string => (path.endsWith("/") ? path.slice(0, -1) : path);
const isConnectableModule = (text: string): boolean => isModuleId(text) || isSystemModuleId(text);

const NAMED_QUERY =
  /(?:\/\?|\?|\/)(?=(?:api-version|DeviceClientType|model-id|auth-chain|product-info|ClientVersion)=)/;

/** Ids may themselves contain `?` and `=`, so the query begins at a parameter we know, else at the first `/?`. */
function findQuery(rest: string): { start: number; end: number } | undefined {
  const named = NAMED_QUERY.exec(rest);
  if (named !== null) return { start: named.index, end: named.index + named[0].length };
  const start = rest.indexOf("/?", 1);
  if (start > 0) return { start, end: start + 2 };
  return rest.length > 1 && rest.endsWith("?")
    ? { start: rest.length - 1, end: rest.length }
    : undefined;
}

/** The first occurrence of a repeated name wins. A value that is not percent-encoded text is kept as it came. */
function readQuery(query: string, into: MqttUsername): void {
  let modelId: string | undefined;
  for (const pair of query.split("&")) {
    const equals = pair.indexOf("=");
    if (equals < 0) continue;
    const raw = pair.slice(equals + 1);
    const value = percentDecode(raw) ?? raw;
    const name = pair.slice(0, equals);
    if (name === "api-version") into.apiVersion ??= value;
    else if (name === "model-id") modelId ??= value;
    else if (name === "auth-chain") into.authChain ??= value;
    else if (name === "DeviceClientType" || name === "product-info" || name === "ClientVersion") {
      into.clientType ??= value;
    }
  }
  const known = into.apiVersion !== undefined && into.apiVersion.slice(0, 10) >= modelIdSince;
  if (known && modelId !== undefined && modelId !== "") into.modelId = modelId;
}

function encode(what: string, text: string): string {
  const encoded = percentEncode(text);
  if (encoded === undefined) {
    throw new IotError("argument.invalid", `${what} is not well-formed Unicode text`);
  }
  return encoded;
}

const malformed = (why: string): IotError =>
  new IotError("auth.username_malformed", `The user name cannot be read: ${why}`);
