// Readings that outlive the process: taken while there is no hub, on disk, killed, and sent by the next process.
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type DeviceOptions } from "@hubwire/device";
import { startHub } from "@hubwire/hub";

const [connectionString = "", directory = ""] = process.argv.slice(2);

const options = (): DeviceOptions & { connectionString: string } => ({
  connectionString,
  waitForConnection: false,
  outbox: {
    kind: "durable",
    directory,
    whenFull: "drop-oldest",
    onDropped: ({ messageId, reason }) => console.log(`dropped ${messageId}: ${reason}`),
  },
});

/** The process that is killed: nobody answers on port 1. */
async function takeReadings(): Promise<void> {
  const device = await connect({ ...options(), port: 1 });
  for (let minute = 0; minute < 3; minute += 1) {
    // Resolves when the reading is on disk, whatever the network does.
    await device.enqueue({ temperature: 20 + minute }, { messageId: `reading-${minute}` });
    console.log(`reading ${minute} is on disk`);
  }
  process.kill(process.pid, "SIGKILL");
}

/** The next process finds them. */
async function sendReadings(): Promise<void> {
  await using hub = await startHub();
  const { connectionString: here } = await hub.createDevice({ deviceId: "thermostat-1" });
  const folder = mkdtempSync(join(tmpdir(), "outbox-"));

  const killed = fork(import.meta.filename, [here, folder]);
  const [, signal] = (await once(killed, "exit")) as [number | null, string | null];
  console.log(`the first process ended by ${signal}`);

  await using device = await connect({
    ...options(),
    connectionString: here,
    ca: hub.caPem,
    outbox: { kind: "durable", directory: folder },
  });
  console.log(`the next one finds ${device.stats().queueDepth} readings`);
  // The newest goes to the end of the queue; when it is acknowledged, so are those before it.
  await device.sendTelemetry({ temperature: 23 }, { messageId: "reading-3" });
  console.log(`${device.stats().acknowledged} readings are with the hub`);

  await device.close();
  rmSync(folder, { recursive: true });
}

await (connectionString === "" ? sendReadings() : takeReadings());
