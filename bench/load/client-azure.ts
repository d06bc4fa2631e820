/** One azure-iot-device client sending with a fixed number in flight. JSON options in, JSON result out. */
import azureDevice from "azure-iot-device";
import azureMqtt from "azure-iot-device-mqtt";
import { measureClient, readClientOptions } from "./client-measure.ts";

const options = await readClientOptions();
const client = azureDevice.Client.fromConnectionString(options.connectionString, azureMqtt.Mqtt);
await client.setOptions({ ca: options.ca });
const connectStartedMs = performance.now();
await client.open();
const connectMs = performance.now() - connectStartedMs;
const body = Buffer.alloc(options.payloadBytes, 0x61);
await measureClient(options, connectMs, (done) => {
  client.sendEvent(new azureDevice.Message(body), (error?: Error) => {
    if (error) throw error;
    done();
  });
});
process.exit(0);
