// A device that listens: cloud-to-device messages, a direct method, desired properties; and a back end that talks to it.
import { connect } from "@hubwire/device";
import { startHub } from "@hubwire/hub";

await using hub = await startHub();
const { connectionString } = await hub.createDevice({ deviceId: "thermostat-1" });

await using device = await connect({
  connectionString,
  ca: hub.caPem,
  // A message is completed when this returns, and comes again when it throws.
  onMessage: (message) => console.log(`message: ${message.text()}`),
  methods: {
    reboot: ({ payload }) => {
      console.log(`method reboot: ${JSON.stringify(payload)}`);
      return { status: 200, payload: { rebooting: true } };
    },
  },
});

await hub.sendToDevice("thermostat-1", "open the window");
const answer = await hub.invokeMethod(
  "thermostat-1",
  "reboot",
  { delay: 5 },
  { connectTimeoutS: 10 },
);
console.log(`the device answered ${answer.status} ${JSON.stringify(answer.payload)}`);

const ref = { deviceId: "thermostat-1", moduleId: undefined };
await hub.twins.patch(ref, { properties: { desired: { intervalS: 5 } } }, undefined);
for await (const { desired } of device.desiredProperties()) {
  console.log(`desired: ${JSON.stringify(desired)}`);
  await device.reportProperties({ intervalS: desired["intervalS"] ?? null });
  break;
}
const { twin } = await hub.twins.read(ref);
console.log(`reported: ${JSON.stringify((twin["properties"] as { reported: object }).reported)}`);
