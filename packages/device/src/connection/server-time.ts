import { isJsonObject, parseC2dProperties, parseJson, payloadOf } from "@hubwire/protocol";
import type { HubTopic, IncomingMessage } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type { ClockSkew } from "./clock-skew.ts";

/** Before this a date is a placeholder, such as `0001-01-01T00:00:00Z`. */
const firstSensibleMs = Date.UTC(2020, 0, 1);

/**
 * Takes the few server times MQTT brings: `timestampUtc` in the body of a refused twin request, which is the hub's now, and
 * `iothub-enqueuedtime` of a cloud-to-device message, which lies in its past. Acknowledgements and ordinary twin answers
 * carry none.
 */
export function learnTime(
  skew: ClockSkew,
  topic: HubTopic,
  message: IncomingMessage,
  clock: Clock,
): void {
  if (topic.type === "twinResponse") {
    if (topic.status < 400) return;
    const serverMs = timestampOf(payloadOf(message));
    if (serverMs > firstSensibleMs) skew.now(serverMs, clock.wallMs(), "a twin answer");
  } else if (topic.type === "c2d" && topic.bag.includes("iothub-enqueuedtime")) {
    const serverMs = enqueuedTimeOf(topic.bag);
    if (serverMs > firstSensibleMs)
      skew.past(serverMs, clock.wallMs(), "a cloud-to-device message");
  }
}

function timestampOf(bytes: Uint8Array): number {
  try {
    const body = parseJson(bytes);
    const text = isJsonObject(body) ? body["timestampUtc"] : undefined;
    return typeof text === "string" ? Date.parse(text) : NaN;
  } catch {
    return NaN;
  }
}

function enqueuedTimeOf(bag: string): number {
  try {
    return Date.parse(parseC2dProperties(bag).application["iothub-enqueuedtime"] ?? "");
  } catch {
    return NaN;
  }
}
