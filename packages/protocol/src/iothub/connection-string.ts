import { IotError } from "../errors/iot-error.ts";
import { isDeviceId, isModuleId, isSystemModuleId } from "./identity-id.ts";
import { parseSasToken } from "./sas-token.ts";

/** How a device proves who it is. With `x509` the certificate and key come beside the string. */
export type DeviceAuth =
  | {
      type: "key";
      /** Base64 text. */
      sharedAccessKey: string;
      /** Set when the key is a shared access policy's (with DeviceConnect), not the device's own. */
      sharedAccessKeyName?: string;
    }
  | { type: "token"; /** The whole token, prefix included. */ sharedAccessSignature: string }
  | { type: "x509" };

export type DeviceConnectionString = {
  hostName: string;
  deviceId: string;
  moduleId?: string;
  /** Where to dial instead of `hostName`; user name and tokens keep naming `hostName`. */
  gatewayHostName?: string;
  auth: DeviceAuth;
};

export type ServiceConnectionString = {
  hostName: string;
  sharedAccessKeyName: string;
  /** Base64 text. */
  sharedAccessKey: string;
};

const KNOWN = [
  "HostName",
  "DeviceId",
  "ModuleId",
  "GatewayHostName",
  "SharedAccessKey",
  "SharedAccessKeyName",
  "SharedAccessSignature",
  "x509",
] as const;
type Key = (typeof KNOWN)[number];
const EVENT_HUBS: ReadonlySet<string> = new Set([
  "Endpoint",
  "EntityPath",
  "UseDevelopmentEmulator",
]);

/**
 * Reads a device's or module's connection string.
 *
 * Unknown names are refused, as in the Python SDK, because a misspelt GatewayHostName that is silently ignored dials the
 * wrong machine; a semicolon at the end and spaces around parts are tolerated, as in the Node SDK.
 * @throws IotError `connection_string.*`, `sas.malformed` for a ready-made token that is none
 * @see Azure IoT Hub docs, connection strings; worked values in `vectors/connection-string.json`
 */
export function parseDeviceConnectionString(text: string): DeviceConnectionString {
  const parts = readParts(text);
  const hostName = hostOf(parts);
  const deviceId = parts.get("DeviceId");
  if (deviceId === undefined) {
    if (parts.has("SharedAccessKeyName")) {
      throw new IotError("connection_string.is_service", "This string is a policy's: no DeviceId");
    }
    throw new IotError("connection_string.missing_device_id", "DeviceId is missing");
  }
  if (!isDeviceId(deviceId)) {
    throw new IotError("connection_string.bad_device_id", "DeviceId is not a valid device id");
  }
  const device: DeviceConnectionString = { hostName, deviceId, auth: authOf(parts) };
  const moduleId = parts.get("ModuleId");
  if (moduleId !== undefined) {
    if (!isModuleId(moduleId) && !isSystemModuleId(moduleId)) {
      throw new IotError("connection_string.bad_module_id", "ModuleId is not a valid module id");
    }
    device.moduleId = moduleId;
  }
  const gateway = parts.get("GatewayHostName");
  if (gateway !== undefined) device.gatewayHostName = checkHost("GatewayHostName", gateway);
  return device;
}

/**
 * Reads a service's (shared access policy's) connection string.
 * @throws IotError `connection_string.*`
 */
export function parseServiceConnectionString(text: string): ServiceConnectionString {
  const parts = readParts(text);
  const hostName = hostOf(parts);
  if (parts.has("DeviceId") || parts.has("x509")) {
    throw new IotError("connection_string.is_device", "This string is a device's: it has DeviceId");
  }
  const sharedAccessKeyName = parts.get("SharedAccessKeyName");
  if (sharedAccessKeyName === undefined) {
    throw new IotError("connection_string.missing_policy_name", "SharedAccessKeyName is missing");
  }
  const key = parts.get("SharedAccessKey");
  if (key === undefined) {
    throw new IotError("connection_string.missing_policy_key", "SharedAccessKey is missing");
  }
  return { hostName, sharedAccessKeyName, sharedAccessKey: checkKey(key) };
}

/** The inverse of `parseDeviceConnectionString`. The result holds the secret. */
export function formatDeviceConnectionString(device: DeviceConnectionString): string {
  const parts = [`HostName=${device.hostName}`, `DeviceId=${device.deviceId}`];
  if (device.moduleId !== undefined) parts.push(`ModuleId=${device.moduleId}`);
  const { auth } = device;
  if (auth.type === "x509") parts.push("x509=true");
  else if (auth.type === "token") {
    parts.push(`SharedAccessSignature=${auth.sharedAccessSignature}`);
  } else {
    if (auth.sharedAccessKeyName !== undefined) {
      parts.push(`SharedAccessKeyName=${auth.sharedAccessKeyName}`);
    }
    parts.push(`SharedAccessKey=${auth.sharedAccessKey}`);
  }
  if (device.gatewayHostName !== undefined) {
    parts.push(`GatewayHostName=${device.gatewayHostName}`);
  }
  return parts.join(";");
}

/** The inverse of `parseServiceConnectionString`. The result holds the secret. */
export const formatServiceConnectionString = (service: ServiceConnectionString): string =>
  `HostName=${service.hostName};SharedAccessKeyName=${service.sharedAccessKeyName};SharedAccessKey=${service.sharedAccessKey}`;

function readParts(text: string): Map<Key, string> {
  const parts = new Map<Key, string>();
  for (const part of text.split(";")) {
    const trimmed = part.trim();
    if (trimmed === "") continue;
    // A part that is no Name=value may be half of a key, so its text is never quoted.
    const equals = trimmed.indexOf("=");
    if (equals <= 0) {
      throw new IotError("connection_string.malformed", "A part has no name and equals sign");
    }
    const name = trimmed.slice(0, equals).trimEnd();
    const value = trimmed.slice(equals + 1).trimStart();
    const key = knownKey(name);
    if (value === "") throw new IotError("connection_string.empty_value", `${key} has no value`);
    if (parts.has(key)) {
      throw new IotError("connection_string.repeated_key", `${key} appears twice`);
    }
    parts.set(key, value);
  }
  if (parts.size === 0) {
    throw new IotError("connection_string.malformed", "The connection string is empty");
  }
  return parts;
}

function knownKey(name: string): Key {
  const key = KNOWN.find((known) => known === name);
  if (key !== undefined) return key;
  if (EVENT_HUBS.has(name)) {
    throw new IotError(
      "connection_string.is_event_hubs",
      `${name} belongs to an Event Hubs-compatible connection string`,
    );
  }
  const meant = KNOWN.find((known) => known.toLowerCase() === name.toLowerCase());
  const shown = /^[A-Za-z0-9_-]{1,40}$/.test(name) ? name : "a name";
  throw new IotError(
    "connection_string.unknown_key",
    meant === undefined
      ? `${shown} is not a part of an IoT Hub connection string`
      : `${shown} is not known: write ${meant}`,
  );
}

function hostOf(parts: Map<Key, string>): string {
  const hostName = parts.get("HostName");
  if (hostName === undefined) {
    throw new IotError("connection_string.missing_host_name", "HostName is missing");
  }
  return checkHost("HostName", hostName);
}

/** A name or address with an optional port: the Node SDKs accept `HostName=localhost:18883` for MQTT. */
const HOST = /^(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

function checkHost(name: "HostName" | "GatewayHostName", host: string): string {
  if (host.length > 259 || !HOST.test(host)) {
    throw new IotError("connection_string.bad_host_name", `${name} is not a host name`);
  }
  return host;
}

function authOf(parts: Map<Key, string>): DeviceAuth {
  const key = parts.get("SharedAccessKey");
  const token = parts.get("SharedAccessSignature");
  const x509 = parts.get("x509");
  const named = (["SharedAccessKey", "SharedAccessSignature", "x509"] as const).filter((name) =>
    parts.has(name),
  );
  if (named.length > 1) {
    throw new IotError("connection_string.mixed_credentials", `Found ${named.join(" and ")}`);
  }
  const policy = parts.get("SharedAccessKeyName");
  if (policy !== undefined && key === undefined) {
    throw named.length === 0
      ? new IotError("connection_string.missing_policy_key", "SharedAccessKey is missing")
      : new IotError(
          "connection_string.mixed_credentials",
          `Found SharedAccessKeyName and ${named.join("")}`,
        );
  }
  if (key !== undefined) {
    const sharedAccessKey = checkKey(key);
    return policy === undefined
      ? { type: "key", sharedAccessKey }
      : { type: "key", sharedAccessKey, sharedAccessKeyName: policy };
  }
  if (token !== undefined) {
    parseSasToken(token);
    return { type: "token", sharedAccessSignature: token };
  }
  if (x509 === undefined) {
    throw new IotError("connection_string.missing_credentials", "No key, token or x509=true");
  }
  if (x509 !== "true") {
    throw new IotError("connection_string.x509_not_true", "x509 is not true");
  }
  return { type: "x509" };
}

/** Alphabet only: keys in the wild need not be canonical, and the hub's registry is what insists on that. */
function checkKey(key: string): string {
  if (!/^[A-Za-z0-9+/_-]{2,}={0,2}$/.test(key)) {
    throw new IotError("connection_string.key_not_base64", "SharedAccessKey is not base64 text");
  }
  return key;
}
