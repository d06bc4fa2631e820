import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@hubwire/device";
import { startHub } from "@hubwire/hub";
import { systemClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import { breakableFileSystem } from "../../packages/hub/test/stores/breakable-file-system.ts";
import { openSqliteStores } from "../../packages/hub/src/stores/sqlite/index.ts";
import { readAllTelemetry } from "../support/find-telemetry.ts";
import { get } from "../support/https-get.ts";
import { connectPacket, eventsTopic, publish } from "../support/packets.ts";
import { RecordingLogger } from "../support/recording-logger.ts";
import { runProgram } from "../support/run-program.ts";
import { deviceToken } from "../support/token.ts";
import { WireClient } from "../support/wire-client.ts";

test("a disk that becomes read-only under a running hub: no PUBACK, an end that says why, and nothing lost when it is writable again", async () => {
  const directory = mkdtempSync(join(tmpdir(), "hubwire-read-only-"));
  const disk = breakableFileSystem();
  const { fileSystem } = disk;
  const stores = await openSqliteStores({ directory, clock: systemClock(), fileSystem });
  const logger = new RecordingLogger();
  const hub = await startHub({ stores, logger });
  try {
    const { connectionString } = await hub.createDevice({ deviceId: "steady" });
    await using steady = await connect({
      connectionString,
      ca: hub.caPem,
      reconnectDelay: { minMs: 20, maxMs: 100 },
    });
    const { identity } = await hub.createDevice({ deviceId: "raw" });
    if (identity.authentication.type !== "sas") throw new Error("a device is made with keys");
    const { primaryKey } = identity.authentication;
    const raw = await WireClient.connect({ port: hub.mqttPort, ca: hub.caPem });
    const password = await deviceToken("localhost", "raw", primaryKey);
    const username = "localhost/raw/?api-version=2021-04-12";
    raw.send(connectPacket({ clientId: "raw", username, password }));
    expect(await raw.next()).toMatchObject({ cmd: "connack", returnCode: 0 });
    raw.send(publish(eventsTopic("raw"), "before", 1));
    expect(await raw.next()).toMatchObject({ cmd: "puback", messageId: 1 });

    disk.break();
    raw.send(publish(eventsTopic("raw"), "during", 2));
    expect(await raw.rest()).toEqual([]);
    expect(await raw.closed()).toBe("end");
    expect(logger.about(raw.address)).toMatchObject([
      { event: "connected" },
      { event: "disconnected", code: "store.unavailable" },
    ]);
    const sending = Array.from({ length: 50 }, (_, n) => steady.sendTelemetry(`steady ${n}`));
    expect(await get(hub, "/readyz")).toBe(503);
    expect(await get(hub, "/healthz")).toBe(200);
    expect(hub.unreadyReason).toMatch(/EROFS|read-only/);

    disk.mend();
    await Promise.all(sending);
    expect(await get(hub, "/readyz")).toBe(200);
    expect(logger.of("store_unhealthy")).toHaveLength(1);
    expect(logger.of("store_healthy")).toHaveLength(1);
    const bodies = (await readAllTelemetry(hub.telemetry)).map(({ body }) =>
      String(Buffer.from(body)),
    );
    expect(bodies.filter((body) => !body.startsWith("steady"))).toEqual(["before"]);
    // At least once: a message whose PUBACK was cut off comes again.
    expect([...new Set(bodies.filter((body) => body.startsWith("steady")))]).toEqual(
      Array.from({ length: 50 }, (_, n) => `steady ${n}`),
    );
  } finally {
    await hub.stop();
    rmSync(directory, { recursive: true });
  }
});

type Full = {
  acceptedBefore: number;
  during: {
    ready: number;
    healthy: number;
    document: string;
    newcomer: { returnCode: number; puback: boolean; end: string };
  };
  after: {
    ready: number;
    refused: string[];
    missing: number[];
    inOrder: boolean;
    strangers: number;
  };
  /** The reasons the log gave, one line each, in order. */
  health: string[];
};

test("a disk that fills up under a running hub: nothing acknowledged is lost, and it goes on without a restart when there is room", async () => {
  const disk = mkdtempSync(join(tmpdir(), "hubwire-full-"));
  const result = await runProgram(
    "unshare",
    [
      "-rm",
      "--",
      process.execPath,
      "--conditions=@hubwire/source",
      "--disable-warning=ExperimentalWarning",
      join(import.meta.dirname, "full-disk.scenario.ts"),
      disk,
    ],
    { timeoutMs: 28_000 },
  );
  rmSync(disk, { recursive: true });
  expect(result.code, `${result.stderr}\n${result.stdout}`).toBe(0);
  const { acceptedBefore, during, after, health } = JSON.parse(result.stdout) as Full;
  expect(acceptedBefore).toBeGreaterThan(20);
  expect(during).toEqual({
    ready: 503,
    healthy: 200,
    document: "store.unavailable",
    newcomer: { returnCode: 0, puback: false, end: "store.unavailable" },
  });
  expect(after).toEqual({ ready: 200, refused: [], missing: [], inOrder: true, strangers: 0 });
  // One line when a part fails, one when the second does, one when a part is well again, whichever it is.
  expect(health[0]).toMatch(/^telemetry: .*ENOSPC/);
  expect(health[1]).toMatch(/^telemetry: .*ENOSPC.*; documents: .*full/);
  expect(health.at(-1)).toBe("healthy");
  expect(health).toHaveLength(4);
});
