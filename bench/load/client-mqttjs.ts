/** One mqtt.js client sending with a fixed number in flight. JSON options in, JSON result out. */
import mqtt from "mqtt";
import { measureClient, readClientOptions } from "./client-measure.ts";

const options = await readClientOptions();
const found = /^HostName=localhost:(?<port>\d+);DeviceId=(?<deviceId>[^;]+)/u.exec(
  options.connectionString,
);
if (found?.groups === undefined) throw new Error("expected localhost with a port, and a device id");
const { port, deviceId } = found.groups as { port: string; deviceId: string };
const connectStartedMs = performance.now();
const client = await mqtt.connectAsync({
  protocol: "mqtts",
  host: "localhost",
  port: Number(port),
  ca: options.ca,
  clientId: deviceId,
  username: `localhost/${deviceId}/?api-version=2021-04-12`,
  password: "the sink does not look",
  protocolVersion: 4,
  reconnectPeriod: 0,
});
const connectMs = performance.now() - connectStartedMs;
const body = Buffer.alloc(options.payloadBytes, 0x61);
const topic = `devices/${deviceId}/messages/events/`;
await measureClient(options, connectMs, (done) => {
  client.publish(topic, body, { qos: 1 }, (error) => {
    if (error) throw error;
    done();
  });
});
process.exit(0);
