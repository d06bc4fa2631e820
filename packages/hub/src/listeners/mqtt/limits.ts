import {
  mqttTopicBytesMax,
  serverKeepAliveSMax,
  telemetryBytesMax,
  topicFiltersMax,
} from "@hubwire/protocol";

export type MqttLimits = {
  /** Streams at a time, admitted or not; more are closed at once. */
  streamsMax: number;
  /** Admitted connections; more are refused with CONNACK 3. */
  connectionsMax: number;
  /** From the first byte to the last of CONNECT (30 s on the service's MQTT 5 preview). */
  connectTimeoutMs: number;
  /** Largest MQTT packet; a larger one is refused at its length. */
  packetBytesMax: number;
  /** What a client may send behind its CONNECT before it is answered. */
  pipelinedBytesMax: number;
  /** QoS 1 messages from a client without PUBACK; above it reading stops. */
  receiptsMax: number;
  /** Bytes a client has not taken yet; above it reading stops, and eight times as many end the connection. */
  bufferedBytesMax: number;
  /** How long a client may leave so much untaken. */
  slowReaderTimeoutMs: number;
  /** Cloud-to-device messages under way to one client. */
  c2dWindow: number;
  /** Topic filters of one connection. */
  filtersMax: number;
  /** How long `stop` waits for work it has accepted. */
  stopTimeoutMs: number;
};

/** A PUBLISH that fills both its topic and its payload: fixed header, topic length, packet identifier. */
const publishBytesMax = 5 + 2 + mqttTopicBytesMax + 2 + telemetryBytesMax;

export const defaultMqttLimits: MqttLimits = {
  streamsMax: 110_000,
  connectionsMax: 100_000,
  connectTimeoutMs: 30_000,
  packetBytesMax: publishBytesMax,
  pipelinedBytesMax: 256 * 1024,
  receiptsMax: 1_000,
  bufferedBytesMax: 1024 * 1024,
  slowReaderTimeoutMs: 30_000,
  c2dWindow: 20,
  filtersMax: topicFiltersMax,
  stopTimeoutMs: 5_000,
};

/**
 * One and a half keep-alive intervals, never more than the service's cap, which also stands for "none asked for"
 * (Azure IoT Hub docs, MQTT: default keep-alive timeout).
 */
export function keepAliveTimeoutMs(keepAliveS: number): number {
  const seconds =
    keepAliveS === 0 ? serverKeepAliveSMax : Math.min(1.5 * keepAliveS, serverKeepAliveSMax);
  return seconds * 1000;
}
