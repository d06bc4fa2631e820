// A device that sends telemetry. Runs against the hub in IOTHUB_DEVICE_CONNECTION_STRING, or starts one for the occasion.
import { connect } from "@hubwire/device";
import { startHub } from "@hubwire/hub";

const hub =
  process.env["IOTHUB_DEVICE_CONNECTION_STRING"] === undefined ? await startHub() : undefined;
const connectionString =
  process.env["IOTHUB_DEVICE_CONNECTION_STRING"] ??
  (await hub!.createDevice({ deviceId: "thermostat-1" })).connectionString;

await using device = await connect({ connectionString, ...(hub && { ca: hub.caPem }) });

for (let minute = 0; minute < 5; minute += 1) {
  // Resolves when the hub has stored the message; rejects with a code and a remedy when it never will.
  await device.sendTelemetry(
    { temperature: 20 + minute },
    { properties: { minute: String(minute) }, messageId: `reading-${minute}` },
  );
  console.log(`sent reading ${minute}`);
}

await device.close();
await hub?.stop();
