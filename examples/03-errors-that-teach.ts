// What a device is told when it is refused, and what the hub's log says about it.
import { connect, IotError } from "@hubwire/device";
import { startHub } from "@hubwire/hub";

await using hub = await startHub();
const { connectionString } = await hub.createDevice({ deviceId: "thermostat-1" });

const mistakes = {
  "a string that was cut off": connectionString.slice(0, -60),
  "a device nobody registered": connectionString.replace("thermostat-1", "thermostat-2"),
};

for (const [mistake, wrong] of Object.entries(mistakes)) {
  try {
    await using device = await connect({ connectionString: wrong, ca: hub.caPem });
    console.log(`${mistake}: connected as ${device.status().state}?`);
  } catch (error) {
    if (!(error instanceof IotError)) throw error;
    console.log(`${mistake}\n  code    ${error.code}\n  remedy  ${error.remedy}`);
  }
}
