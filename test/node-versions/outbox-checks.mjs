// A durable outbox over two lives of a process, on every Node it promises to run on.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";

/** @param {any} device what `@hubwire/device` gives, as this program got it */
export function checkOutbox(device) {
  test("what a durable outbox accepted offline is sent by the next life", async () => {
    const { connectionString, ca } = JSON.parse(process.env.HUBWIRE_TEST_HUB);
    const folder = mkdtempSync(join(tmpdir(), "hubwire-outbox-"));
    try {
      const outbox = { kind: "durable", directory: folder };
      const offline = await device.connect({
        connectionString,
        outbox,
        waitForConnection: false,
        openStream: () => Promise.reject(new Error("no network")),
      });
      for (let n = 0; n < 10; n += 1) {
        const { messageId } = await offline.enqueue(`kept ${n}`);
        assert.match(messageId, /^[0-9a-f-]{36}$/u);
      }
      await offline.close({ timeoutMs: 0 });
      const online = await device.connect({ connectionString, ca, outbox });
      await online.sendTelemetry("last");
      assert.equal(online.stats().queueDepth, 0);
      await online.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
