import { join } from "node:path";
import { startHub, type Hub } from "@hubwire/hub";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodeBinary } from "./node-binaries.ts";
import { runScript } from "./run-script.ts";

const root = join(import.meta.dirname, "../..");

/** The oldest of each that `engines` promises, and what is current. */
export const versions = ["20.19.0", "22.13", "24", "26"];
const servers = versions.filter((version) => Number(version.split(".")[0]) >= 22);

/** Every program on every Node, against one hub on the Node these tests run on. */
export function testVersions(): void {
  let hub: Hub;
  beforeAll(async () => {
    hub = await startHub();
  });
  afterAll(() => hub.stop());

  /** What a program needs to be this device, with a message waiting for it. */
  async function newDevice(deviceId: string): Promise<Record<string, string>> {
    const { connectionString } = await hub.createDevice({ deviceId });
    await hub.sendToDevice(deviceId, "hello");
    return { HUBWIRE_TEST_HUB: JSON.stringify({ connectionString, ca: hub.caPem }) };
  }

  async function storedOf(deviceId: string): Promise<string[]> {
    const found: string[] = [];
    for (let partition = 0; partition < hub.telemetry.partitionCount; partition++) {
      const limits = { recordsMax: 10_000, bytesMax: 1e7 };
      const events = await hub.telemetry.read(partition, "first", limits);
      for (const event of events) {
        if (event.deviceId === deviceId) found.push(Buffer.from(event.body).toString());
      }
    }
    return found;
  }

  describe.each(versions)("Node %s", (version) => {
    test.each(["import.mjs", "require.cjs"])(
      "protocol, transport, log, device and its subpaths: %s",
      async (file) => {
        const deviceId = `node-${version}-${file}`;
        const env = await newDevice(deviceId);
        const script = join(import.meta.dirname, file);
        const { code, output } = await runScript(await nodeBinary(version), [script], {
          cwd: root,
          env,
        });
        expect(code, output).toBe(0);
        expect(await storedOf(deviceId)).toEqual(
          Array.from({ length: 20 }, (_, n) => `message ${n}`).concat(
            Array.from({ length: 10 }, (_, n) => `kept ${n}`),
            "last",
          ),
        );
        const { twin } = await hub.twins.read({ deviceId, moduleId: undefined });
        expect(twin["properties"]).toMatchObject({
          reported: { node: expect.stringContaining(`v${version}`) as string },
        });
        await expect.poll(() => hub.c2d.count(deviceId)).toBe(0);
      },
    );
  });

  const extras = versions.flatMap((version) =>
    ["extras-import.mjs", "extras-require.cjs"].map((file) => ({ version, file })),
  );
  test.each(extras)("Node $version: websocket, pkcs11 and keychain: $file", async (one) => {
    const { version, file } = one;
    const script = join(import.meta.dirname, file);
    const { code, output } = await runScript(await nodeBinary(version), [script], { cwd: root });
    expect(code, output).toBe(0);
  });

  test.each(servers)(
    "Node %s: hub and command",
    async (version) => {
      const script = join(import.meta.dirname, "server.mjs");
      const { code, output } = await runScript(await nodeBinary(version), [script], { cwd: root });
      expect(code, output).toBe(0);
    },
    120_000,
  );
}
