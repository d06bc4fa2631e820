import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectPacket } from "../support/packets.ts";
import { deviceToken } from "../support/token.ts";
import { WireClient } from "../support/wire-client.ts";
import { forgetPeak, peakBytes, residentBytes, startHubProcess } from "./hub-process.ts";

const mebibyte = 2 ** 20;
const clients = 3;
const eachSends = 40 * mebibyte;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hubwire-memory-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Announces 256 MB and sends 40 of them, or as much as is taken. */
async function announceAndSend(client: WireClient): Promise<void> {
  client.send(Uint8Array.of(0x32, 0xff, 0xff, 0xff, 0x7f));
  const chunk = new Uint8Array(mebibyte);
  for (let sent = 0; sent < eachSends && !client.socket.destroyed; sent += chunk.length) {
    // oxlint-disable-next-line no-await-in-loop -- as fast as it is taken
    await new Promise<void>((resolve) => client.socket.write(chunk, () => resolve()));
  }
}

/** By how much the hub's memory grew at its highest while its devices did that. */
async function growth(packetBytesMax: number | undefined): Promise<number> {
  const hub = await startHubProcess({
    config: {
      logLevel: "error",
      limits: { mqtt: packetBytesMax === undefined ? {} : { packetBytesMax } },
    },
    devices: Array.from({ length: clients }, (_, i) => `d${i}`),
    logFile: join(folder, "hub.log"),
  });
  try {
    const online = Object.entries(hub.connectionStrings).map(async ([deviceId, text]) => {
      const client = await WireClient.connect({ port: hub.mqttPort, ca: hub.caPem });
      const key = /SharedAccessKey=(.*)$/.exec(text)?.[1] ?? "";
      const password = await deviceToken("localhost", deviceId, key);
      const username = `localhost/${deviceId}/?api-version=2021-04-12`;
      client.send(connectPacket({ clientId: deviceId, username, password }));
      expect(await client.next()).toMatchObject({ cmd: "connack", returnCode: 0 });
      return client;
    });
    const connected = await Promise.all(online);
    forgetPeak(hub.pid);
    const before = residentBytes(hub.pid);
    await Promise.all(connected.map(announceAndSend));
    await hub.streams();
    for (const client of connected) client.cut();
    return peakBytes(hub.pid) - before;
  } finally {
    await hub.kill();
  }
}

test("packets that announce 256 MB cost the hub no memory, because it does not wait for them", async () => {
  expect(await growth(undefined)).toBeLessThan(30 * mebibyte);
});

test("the same bytes do fill the memory of a hub without that bound: the measurement sees it", async () => {
  expect(await growth(300e6)).toBeGreaterThan(clients * eachSends * 0.9);
});
