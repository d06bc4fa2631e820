import {
  applyReportedPatch,
  encodeUtf8,
  formatErrorEnvelope,
  IotError,
  parseJson,
  twinForDevice,
  twinResponseTopic,
  twinTimestamp,
} from "@hubwire/protocol";
import type { DeviceTopic, ErrorCode, JsonObject } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type { DeviceState } from "./device-state.ts";
import type { Faults } from "./faults.ts";

type TwinTopic = Extract<DeviceTopic, { type: "twinGet" | "twinReport" }>;
type Answer = { topic: string; body: Uint8Array };

const empty = new Uint8Array(0);

/** What the hub makes of a twin request; undefined when it is to stay without answer. */
export function answerTwin(
  device: DeviceState,
  topic: TwinTopic,
  body: Uint8Array,
  host: { clock: Clock; faults: Faults },
): Answer | undefined {
  const { clock, faults } = host;
  const refuse = (code: ErrorCode, message: string): Answer => {
    const { status, body: text } = formatErrorEnvelope(code, message, "fake", clock.wallMs(), "B");
    return { topic: twinResponseTopic(status, topic.rid), body: encodeUtf8(text) };
  };
  if (faults.twinSilent) return undefined;
  if (faults.twinThrottlesLeft > 0) {
    faults.twinThrottlesLeft -= 1;
    return refuse(
      "quota.throttled",
      "The request has been throttled. Wait 10 seconds and try again",
    );
  }
  try {
    if (topic.type === "twinGet") {
      const twin = encodeUtf8(JSON.stringify(twinForDevice(device.twin)));
      return { topic: twinResponseTopic(200, topic.rid), body: twin };
    }
    const patch = parseJson(body);
    const now = twinTimestamp(clock.wallMs());
    device.twin = applyReportedPatch(device.twin, patch, now, topic.version);
    device.reports.push(patch as JsonObject);
    const { version } = device.twin.reported;
    return { topic: twinResponseTopic(204, topic.rid, version), body: empty };
  } catch (error) {
    if (error instanceof IotError) return refuse(error.code, error.message);
    throw error;
  }
}
