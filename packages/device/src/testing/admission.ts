import { createHmac } from "node:crypto";
import {
  parseClientId,
  parseMqttUsername,
  parseSasToken,
  sasCovers,
  verifySasSignature,
} from "@hubwire/protocol";
import type { ConnectRequest } from "@hubwire/protocol";
import type { DeviceState } from "./device-state.ts";
import type { Refusal } from "./faults.ts";

const hmac = (key: Uint8Array, text: string): string =>
  createHmac("sha256", key).update(text, "utf8").digest("base64");

/** Looks at what a CONNECT says the way IoT Hub does, and answers 4 or 5 where IoT Hub would. */
export function admit(
  request: ConnectRequest,
  hub: {
    hostName: string;
    wallMs: number;
    find: (clientId: string) => DeviceState | undefined;
  },
): { device: DeviceState; expiresAtMs: number } | Refusal {
  const { hostName, wallMs } = hub;
  try {
    const identity = parseClientId(request.clientId);
    const named = parseMqttUsername(request.username ?? "");
    const agrees =
      named.hostName.toLowerCase() === hostName.toLowerCase() &&
      named.deviceId === identity.deviceId &&
      named.moduleId === identity.moduleId;
    if (!agrees) return 5;
    const device = hub.find(request.clientId);
    if (device === undefined || !device.enabled) return 5;
    const token = parseSasToken(Buffer.from(request.password ?? []).toString("latin1"));
    const expiresAtMs = token.expiresAtS * 1_000;
    const covers = sasCovers(token, { hostNames: [hostName], ...identity });
    if (!covers || expiresAtMs <= wallMs) return 5;
    return verifySasSignature(token, [device.key], hmac) ? { device, expiresAtMs } : 5;
  } catch {
    return 4;
  }
}
