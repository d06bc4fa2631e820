/**
 * Runs in a mount namespace of its own, on a disk of 32 MB: a hub with a device that goes on sending while the disk fills up and after there
 * is room again. Prints one JSON object.
 */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "@hubwire/device";
import { createHub } from "@hubwire/hub";
import { readAllTelemetry } from "../support/find-telemetry.ts";
import { get } from "../support/https-get.ts";
import { connectPacket, eventsTopic, publish } from "../support/packets.ts";
import { RecordingLogger } from "../support/recording-logger.ts";
import { deviceToken } from "../support/token.ts";
import { WireClient } from "../support/wire-client.ts";

const disk = process.argv[2]!;
const ballast = join(disk, "ballast");
execFileSync("mount", ["-t", "tmpfs", "-o", "size=32m", "tmpfs", disk]);

const logger = new RecordingLogger();
await using hub = await createHub({
  dataDirectory: join(disk, "data"),
  mqttPort: 0,
  httpsPort: 0,
  logger,
});
const isFull = (): boolean => hub.unreadyReason !== undefined;

const { connectionString } = await hub.createDevice({ deviceId: "steady" });
await using steady = await connect({
  connectionString,
  ca: hub.caPem,
  reconnectDelay: { minMs: 20, maxMs: 200 },
});
const { identity } = await hub.createDevice({ deviceId: "raw" });
if (identity.authentication.type !== "sas") throw new Error("a device is made with keys");
const password = await deviceToken("localhost", "raw", identity.authentication.primaryKey);

const accepted: number[] = [];
const refused: string[] = [];
const body = Buffer.alloc(60_000, ".");
let sent = 0;
const sendOne = (): Promise<void> => {
  const n = sent++;
  body.write(`${n} `, "latin1");
  return steady.sendTelemetry(Uint8Array.from(body)).then(
    () => void accepted.push(n),
    (error: unknown) => void refused.push(String(error)),
  );
};

await sendOne();
// What the log has set aside already is used up first; the next segment does not fit any more.
writeFileSync(ballast, new Uint8Array(14e6));
const sending: Promise<void>[] = [];
while (!isFull()) {
  sending.push(sendOne());
  await sleep(1);
}
const acceptedBefore = accepted.length;

// Now the last byte too, so that the documents cannot grow either.
const filler = openSync(join(disk, "filler"), "w");
try {
  for (;;) writeSync(filler, new Uint8Array(4_096));
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
}
closeSync(filler);
let document = "stored";
for (let i = 0; i < 500 && document === "stored"; i += 1) {
  const ref = { deviceId: "steady", moduleId: undefined };
  // oxlint-disable-next-line no-await-in-loop -- until one fails
  document = await hub.twins.patch(ref, { tags: { i, much: "x".repeat(4_000) } }, undefined).then(
    () => "stored",
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );
}

/** A device that comes while the disk is full: it is let in, because that writes nothing; what it sends is not acknowledged. */
async function newcomer() {
  const client = await WireClient.connect({ port: hub.mqttPort, ca: hub.caPem });
  client.send(
    connectPacket({ clientId: "raw", username: "localhost/raw/?api-version=2021-04-12", password }),
  );
  const connack = await client.next();
  client.send(publish(eventsTopic("raw"), "never", 1));
  const puback = (await client.rest()).length > 0;
  const end = logger.about(client.address).at(-1)?.["code"];
  return { returnCode: connack["returnCode"], puback, end };
}

const during = {
  ready: await get(hub, "/readyz"),
  healthy: await get(hub, "/healthz"),
  document,
  newcomer: await newcomer(),
};

rmSync(ballast);
rmSync(join(disk, "filler"));
await Promise.all([...sending, sendOne()]);
const events = await readAllTelemetry(hub.telemetry);
const stored = events
  .filter(({ deviceId }) => deviceId === "steady")
  .map((event) => Number.parseInt(Buffer.from(event.body).toString("latin1", 0, 10), 10));
const firsts = [...new Set(stored)];
const after = {
  ready: await get(hub, "/readyz"),
  refused,
  missing: accepted.filter((n) => !firsts.includes(n)),
  inOrder: firsts.every((n, i) => n === i),
  strangers: events.length - stored.length,
};
const health = logger.lines
  .filter(({ event }) => event === "store_unhealthy" || event === "store_healthy")
  .map(({ reason }) => (typeof reason === "string" ? reason : "healthy"));
process.stdout.write(`${JSON.stringify({ acceptedBefore, during, after, health })}\n`);
