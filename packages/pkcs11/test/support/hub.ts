import { join } from "node:path";
import { startHub } from "@hubwire/hub";
import type { Hub } from "@hubwire/hub";
import { runScript } from "../../../../test/node-versions/run-script.ts";
import type { ScriptResult } from "../../../../test/node-versions/run-script.ts";
import type { SoftHsm } from "./soft-hsm.ts";

const script = join(import.meta.dirname, "device.mjs");

/** How a device finds its key. */
export type DeviceRun = {
  kind: "sas" | "x509";
  deviceId: string;
  key: Record<string, unknown>;
  texts: readonly string[];
};

/** Runs a device in a process of its own, against a hub of this one. */
export function runDevice(
  node: string,
  nodeArgs: readonly string[],
  hub: Hub,
  hsm: SoftHsm,
  device: DeviceRun,
): Promise<ScriptResult> {
  const { hostName, mqttPort: port, caPem: ca } = hub;
  return runScript(node, [...nodeArgs, script], {
    cwd: import.meta.dirname,
    timeoutMs: 25_000,
    env: {
      ...hsm.env,
      HUBWIRE_TEST_DEVICE: JSON.stringify({ hostName, port, ca, ...device }),
    },
  });
}

/** Bodies of what the hub stored of a device. */
export async function storedOf(hub: Hub, deviceId: string): Promise<string[]> {
  const found: string[] = [];
  for (let partition = 0; partition < hub.telemetry.partitionCount; partition++) {
    const events = await hub.telemetry.read(partition, "first", {
      recordsMax: 1_000,
      bytesMax: 1e6,
    });
    for (const event of events)
      if (event.deviceId === deviceId) found.push(Buffer.from(event.body).toString("utf8"));
  }
  return found;
}

export const newHub = (): Promise<Hub> => startHub();
