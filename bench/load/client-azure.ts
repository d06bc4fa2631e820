/** One azure-iot-device client sending with a fixed number in flight. JSON options in, JSON result out. */
import { createRequire } from "node:module";
import { measureClient, readClientOptions } from "./client-measure.ts";

const require = createRequire(import.meta.url);
const { Client, Message } = require("azure-iot-device") as typeof import("azure-iot-device");
const { Mqtt } = require("azure-iot-device-mqtt") as typeof import("azure-iot-device-mqtt");

const options = await readClientOptions();
const client = Client.fromConnectionString(options.connectionString, Mqtt);
await client.setOptions({ ca: options.ca });
const connectStartedMs = performance.now();
await client.open();
const connectMs = performance.now() - connectStartedMs;
const body = Buffer.alloc(options.payloadBytes, 0x61);
await measureClient(options, connectMs, (done) => {
  client.sendEvent(new Message(body), (error?: Error) => {
    if (error) throw error;
    done();
  });
});
process.exit(0);
