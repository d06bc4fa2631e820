import { connect } from "node:tls";
import { startHub } from "@hubwire/hub";
import { systemClock, VirtualClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import { CleanUp } from "../../src/clean-up.ts";
import { composeDomain } from "../../src/compose.ts";
import { openRest } from "../../src/listen.ts";
import { createMemoryStores } from "../../src/stores/memory/index.ts";
import { certificateNames, memoryCertificates } from "../../src/tls/index.ts";
import { recordingLogger, takenPort } from "./world.ts";

const dayMs = 86_400_000;

async function restParts() {
  const clock = systemClock();
  const logger = recordingLogger();
  const stores = createMemoryStores({ clock });
  const { server } = await memoryCertificates(certificateNames([]), Date.now());
  const cleanUp = new CleanUp();
  const domain = await composeDomain({}, ["localhost"], { stores, clock, logger, cleanUp });
  const parts = {
    domain,
    credentials: server,
    clock,
    logger,
    unreadyReason: () => undefined,
    metricsText: async () => "",
  };
  return { parts, logger, [Symbol.asyncDispose]: () => cleanUp.run() };
}

test("without a given port a taken one is passed over, and one line says what that costs", async () => {
  await using first = await takenPort();
  await using second = await takenPort();
  await using world = await restParts();
  const listener = await openRest({}, world.parts, [first.port, second.port, 0]);
  expect([first.port, second.port]).not.toContain(listener.port);
  expect(world.logger.of("https_port")).toEqual([
    expect.objectContaining({
      level: "warn",
      port: listener.port,
      message: expect.stringContaining("official SDKs dial 443 only") as string,
    }),
  ]);
  await listener.stop();
});

test("the first port of choice comes without a word, and a given one is never passed over", async () => {
  await using taken = await takenPort();
  await using world = await restParts();
  const listener = await openRest({}, world.parts, [0, taken.port]);
  await listener.stop();
  expect(world.logger.lines).toEqual([]);
  await expect(openRest({ httpsPort: taken.port }, world.parts)).rejects.toMatchObject({
    code: "hub.port_in_use",
  });
  await expect(openRest({ host: "192.0.2.1" }, world.parts, [0, 0])).rejects.toMatchObject({
    code: "hub.address_unavailable",
  });
});

const certificateAt = (port: number, ca: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: "localhost", port, ca }, () => {
      resolve(socket.getPeerCertificate().valid_to);
      socket.destroy();
    });
    socket.on("error", reject);
  });

test("a running hub renews its certificate in time, on both listeners", async () => {
  const startMs = Date.now() - 337 * dayMs;
  const clock = new VirtualClock({ wallMs: startMs });
  const logger = recordingLogger();
  await using hub = await startHub({ clock, logger });
  const validTo = async (): Promise<number[]> => {
    const ports = [hub.mqttPort, hub.httpsPort];
    const found = await Promise.all(ports.map((port) => certificateAt(port, hub.caPem)));
    return found.map((text) => Math.round((Date.parse(text) - startMs) / dayMs));
  };
  expect(await validTo()).toEqual([365, 365]);
  clock.jumpWall(334 * dayMs);
  await clock.advance(6 * 3_600_000);
  expect(logger.of("certificate_renewed")).toEqual([]);
  clock.jumpWall(1.8 * dayMs);
  await clock.advance(6 * 3_600_000);
  while (logger.of("certificate_renewed").length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(await validTo()).toEqual([701, 701]);
});

test("no two hubs, and no two policies, have the same key", async () => {
  await using one = await startHub();
  await using two = await startHub();
  const keyOf = (text: string): string => text.slice(text.indexOf("SharedAccessKey="));
  expect(keyOf(one.connectionString())).not.toBe(keyOf(two.connectionString()));
  expect(keyOf(one.connectionString("service"))).not.toBe(keyOf(one.connectionString()));
});
