import type { MessagePropertiesInput } from "./message-properties.ts";
import { utf8Bytes } from "./utf8.ts";

/** Every bound of the service that Hubwire keeps, with unit and source. */

const KIB = 1024;

// --- MQTT ---

/** MQTT 3.1.1 §1.5.3: a string's length is a 16-bit number of bytes. */
export const mqttTopicBytesMax = 65_535;
/** Azure IoT Hub docs, MQTT: the server waits 1.5 times the keep-alive, and never longer than this. */
export const serverKeepAliveSMax = 1767;
/** The largest useful keep-alive: 1767 / 1.5, rounded down. */
export const clientKeepAliveSMax = 1177;
/** Azure IoT Hub docs, MQTT: topic filters one connection may hold. */
export const topicFiltersMax = 5;
/** Observed in edgeHub: how long a new connection may take to send CONNECT. */
export const firstPacketTimeoutMs = 60_000;
/** Observed in edgeHub: unacknowledged messages in flight to one client. */
export const inFlightMax = 100;

// --- device to cloud ---

/** Azure IoT Hub docs, quotas: body, values of system properties, names and values of application properties. */
export const telemetryBytesMax = 256 * KIB;
/** Observed in the C# SDK: largest PUBLISH payload it sends. */
export const telemetryPayloadBytesObservedMax = 0x3ffff;
/** Azure IoT Hub docs: billing meter of one message (0.5 KB on the free tier). */
export const telemetryMeterBytes = 4 * KIB;
/** Azure IoT Hub docs: characters of a message id. */
export const messageIdCharactersMax = 128;
/** Whether the service takes `text` as a message id. @see Azure IoT Hub docs, message system properties */
export const isMessageId = (text: string): boolean => MESSAGE_ID.test(text);
const MESSAGE_ID = /^[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}$/;
/** Azure IoT Hub docs: partitions of the built-in endpoint, fixed at creation. */
export const partitionCountMin = 2;
export const partitionCountMax = 32;
export const partitionCountDefault = 4;
/** Azure IoT Hub docs: days the built-in endpoint keeps messages. */
export const retentionDaysMin = 1;
export const retentionDaysMax = 7;
export const retentionDaysDefault = 1;

// --- cloud to device (Azure IoT Hub docs, "Understand cloud-to-device messaging") ---

export const c2dBytesMax = 64 * KIB;
export const c2dQueueMessagesMax = 50;
export const c2dLockTimeoutMs = 60_000;
export const c2dTtlMsDefault = 3_600_000;
export const c2dTtlMsMin = 60_000;
export const c2dTtlMsMax = 2 * 86_400_000;
export const c2dDeliveryCountMin = 1;
export const c2dDeliveryCountMax = 100;
export const c2dDeliveryCountDefault = 10;
export const feedbackTtlMsDefault = 3_600_000;
export const feedbackLockMsMin = 5_000;
export const feedbackLockMsMax = 300_000;
export const feedbackLockMsDefault = 60_000;
export const feedbackBatchItemsMax = 64;
export const feedbackBatchAgeMsMax = 15_000;

// --- direct methods (Azure IoT Hub docs, "Understand and invoke direct methods") ---

export const methodPayloadBytesMax = 128 * KIB;
export const methodResponseTimeoutSMin = 5;
export const methodResponseTimeoutSMax = 300;
export const methodResponseTimeoutSDefault = 30;
export const methodConnectTimeoutSMin = 0;
export const methodConnectTimeoutSMax = 300;
export const methodConnectTimeoutSDefault = 0;
/** US-ASCII printable except ``$ ( ) < > @ , ; : \ " / [ ] ? = { }`` and space. */
export const isMethodName = (text: string): boolean => METHOD_NAME.test(text);
const METHOD_NAME = /^[!#%&'*+\-.0-9A-Z^_`a-z|~]{1,128}$/;

// --- twins (Azure IoT Hub docs, "Understand and use device twins") ---

export const twinTagsSizeMax = 8 * KIB;
export const twinDesiredSizeMax = 32 * KIB;
export const twinReportedSizeMax = 32 * KIB;
export const twinKeyBytesMax = KIB;
export const twinStringBytesMax = 4 * KIB;
export const twinDepthMax = 10;
export const twinIntegerMin = -(2 ** 52);
export const twinIntegerMax = 2 ** 52 - 1;

// --- identities (Azure IoT Hub docs, "Understand the identity registry") ---

export const identitiesMax = 1_000_000;
export const modulesPerDeviceMax = 50;
export const listedDevicesMax = 1000;
export const bulkDevicesMax = 100;
export const policiesMax = 16;
export const servicePoliciesMax = 10;
export const deviceCasMax = 25;

// --- tokens ---

/** Azure IoT Hub docs: a device's clock may be off by five minutes. */
export const sasClockToleranceSDefault = 300;
/** Between the 5 and 10 minutes that Azure's docs report until an expired session is cut. */
export const sasGraceSDefault = 300;
export const sasGraceSMax = 600;
/** What every SDK asks for. */
export const sasLifetimeSDefault = 3600;

/**
 * The size IoT Hub counts for a message: body, values of system properties, names and values of application properties,
 * text as UTF-8.
 */
export function telemetryMessageSize(
  bodyBytes: number,
  properties: MessagePropertiesInput = {},
): number {
  let size = bodyBytes;
  for (const value of Object.values(properties.system ?? {})) {
    if (value !== undefined) size += utf8Bytes(value);
  }
  for (const [name, value] of Object.entries(properties.application ?? {})) {
    size += utf8Bytes(name) + utf8Bytes(value);
  }
  return size;
}
