import { join } from "node:path";
import { startHub, type Hub } from "@hubwire/hub";
import { testCertificates } from "@hubwire/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readAllTelemetry } from "../support/find-telemetry.ts";
import {
  startWebSocketBridge,
  type WebSocketBridge,
} from "../../packages/websocket/test/bridge.ts";
import { nodeBinary } from "./node-binaries.ts";
import { runScript } from "./run-script.ts";

const root = join(import.meta.dirname, "../..");
const script = join(import.meta.dirname, "web-socket.mjs");

/** MQTT over WebSocket on every Node the packages promise to run on. */
export function testWebSocket(versions: readonly string[]): void {
  let hub: Hub;
  let bridge: WebSocketBridge;
  let ca: string[];
  beforeAll(async () => {
    hub = await startHub();
    const { server, root: authority } = await testCertificates();
    ca = [hub.caPem, authority.cert];
    bridge = await startWebSocketBridge({
      port: 0,
      key: server.key,
      cert: server.fullChain,
      hub: { port: hub.mqttPort, ca: hub.caPem },
    });
  });
  afterAll(async () => {
    await bridge.close();
    await hub.stop();
  });

  test.each(versions)(
    "Node %s: by choice, and where nothing else gets through",
    async (version) => {
      const deviceId = `web-socket-${version}`;
      const { connectionString } = await hub.createDevice({ deviceId });
      const env = { HUBWIRE_TEST_HUB: JSON.stringify({ connectionString, ca, port: bridge.port }) };
      const { code, output } = await runScript(await nodeBinary(version), [script], {
        cwd: root,
        env,
      });
      expect(code, output).toBe(0);
      const stored = await readAllTelemetry(hub.telemetry);
      const bodies = stored
        .filter((event) => event.deviceId === deviceId)
        .map(({ body }) => Buffer.from(body).toString());
      expect(bodies).toEqual(["over websocket", "over auto"]);
    },
  );
}
