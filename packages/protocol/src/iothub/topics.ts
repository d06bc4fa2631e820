import { IotError } from "../errors/iot-error.ts";
import type { DeviceIdentity } from "./identity-id.ts";
import { mqttTopicBytesMax } from "./limits.ts";
import { utf8Bytes } from "./utf8.ts";

/**
 * Every topic and filter of IoT Hub over MQTT 3.1.1, written. Ids and method names stand verbatim, never encoded.
 * `rid` is the request id the asker chose; answers echo it character for character.
 * @see Azure IoT Hub docs, "Communicate with your IoT hub using the MQTT protocol"
 */

export const methodsFilter = "$iothub/methods/POST/#";
export const twinResponsesFilter = "$iothub/twin/res/#";
export const desiredFilter = "$iothub/twin/PATCH/properties/desired/#";
export const credentialsFilter = "$iothub/credentials/res/#";

/** Cloud-to-device messages for a device; for a module they come through a gateway only. */
export const c2dFilter = (identity: DeviceIdentity): string =>
  `${identityPath(identity)}/messages/devicebound/#`;

export const moduleInputsFilter = (identity: { deviceId: string; moduleId: string }): string =>
  `${identityPath(identity)}/inputs/#`;

/** `devices/{d}[/modules/{m}]` */
export const identityPath = (identity: DeviceIdentity): string =>
  identity.moduleId === undefined
    ? `devices/${identity.deviceId}`
    : `devices/${identity.deviceId}/modules/${identity.moduleId}`;

/** What every telemetry topic of this identity begins with; the property bag follows. */
export const telemetryPrefix = (identity: DeviceIdentity): string =>
  `${identityPath(identity)}/messages/events/`;

/** @throws IotError `topic.too_long` */
export const telemetryTopic = (identity: DeviceIdentity, bag = ""): string =>
  bounded(telemetryPrefix(identity) + bag);

/** @throws IotError `topic.too_long` */
export const c2dTopic = (identity: DeviceIdentity, bag: string): string =>
  bounded(`${identityPath(identity)}/messages/devicebound/${bag}`);

/** @throws IotError `topic.bad_part`, `topic.too_long` */
export const moduleInputTopic = (
  identity: { deviceId: string; moduleId: string },
  input: string,
  bag: string,
): string => bounded(`${identityPath(identity)}/inputs/${part("input name", input)}/${bag}`);

/** @throws IotError `topic.bad_part` */
export const methodRequestTopic = (name: string, rid: string): string =>
  `$iothub/methods/POST/${part("method name", name)}/?$rid=${part("rid", rid)}`;

/** @throws IotError `topic.bad_part` */
export const methodResponseTopic = (status: number, rid: string): string =>
  `$iothub/methods/res/${int32("status", status)}/?$rid=${part("rid", rid)}`;

/** @throws IotError `topic.bad_part` */
export const twinGetTopic = (rid: string): string => `$iothub/twin/GET/?$rid=${part("rid", rid)}`;

/**
 * @param baseVersion the reported `$version` the patch was made for: the hub refuses with 412 when it moved on
 * @throws IotError `topic.bad_part`
 */
export const twinReportTopic = (rid: string, baseVersion?: number): string =>
  `$iothub/twin/PATCH/properties/reported/?$rid=${part("rid", rid)}${version("&", baseVersion)}`;

/** @throws IotError `topic.bad_part` */
export const twinResponseTopic = (status: number, rid: string, newVersion?: number): string =>
  `$iothub/twin/res/${int32("status", status)}/?$rid=${part("rid", rid)}${version("&", newVersion)}`;

/** @throws IotError `topic.bad_part` */
export const desiredTopic = (newVersion: number): string =>
  `$iothub/twin/PATCH/properties/desired/?${version("", newVersion)}`;

/** @throws IotError `topic.bad_part` */
export const certificateIssueTopic = (rid: string): string =>
  `$iothub/credentials/POST/issueCertificate/?$rid=${part("rid", rid)}`;

/** @throws IotError `topic.bad_part` */
export const certificateResponseTopic = (status: number, rid: string): string =>
  `$iothub/credentials/res/${int32("status", status)}/?$rid=${part("rid", rid)}`;

function version(separator: "&" | "", value: number | undefined): string {
  if (value === undefined) return "";
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new IotError("topic.bad_part", `A version is a whole number, not ${value}`);
  }
  return `${separator}$version=${value}`;
}

function int32(what: string, value: number): number {
  if ((value | 0) !== value) {
    throw new IotError("topic.bad_part", `A ${what} is a 32-bit integer, not ${value}`);
  }
  // -0 would print as 0 and compare unequal to itself in tests of round trips.
  return value === 0 ? 0 : value;
}

/** What would end the level or the value it stands in, or may not stand in a topic name at all. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const UNFIT = /[/+#&?\u0000-\u001f\u007f-\u009f]|[\ud800-\udfff]/u;

function part(what: string, text: string): string {
  if (text === "" || UNFIT.test(text)) {
    throw new IotError(
      "topic.bad_part",
      `The ${what} is empty or has a character topics cannot hold`,
    );
  }
  return text;
}

function bounded(topic: string): string {
  if (topic.length * 3 > mqttTopicBytesMax && utf8Bytes(topic) > mqttTopicBytesMax) {
    throw new IotError("topic.too_long", `The topic is longer than ${mqttTopicBytesMax} bytes`);
  }
  return topic;
}
