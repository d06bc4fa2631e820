// What a device program needs of the libraries, on every Node they promise to run on. Plain JavaScript over the built
// packages: no loader, no TypeScript. The hub to talk to comes in HUBWIRE_TEST_HUB, and runs on a Node of its own.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";

const text = new TextDecoder();

/** @param {{ device: any, protocol: any, transport: any, log: any }} libraries as this program got them */
export function checkLibraries({ device, protocol, transport, log }) {
  test("protocol builds the token that another implementation builds", async () => {
    const key = Buffer.from("a2V5IG9mIGEgdGVzdA==", "base64");
    const sign = async (what) => createHmac("sha256", key).update(what).digest("base64");
    const token = await protocol.buildSasToken(
      { resource: "hub/devices/d", expiresAtS: 1_767_225_600 },
      sign,
    );
    const sr = encodeURIComponent("hub/devices/d");
    const sig = encodeURIComponent(await sign(`${sr}\n1767225600`));
    assert.equal(token, `SharedAccessSignature sr=${sr}&sig=${sig}&se=1767225600`);
  });

  test("transport carries bytes both ways", async () => {
    const heard = (stream) =>
      new Promise((resolve) => stream.start({ onBytes: resolve, onDrain() {}, onClosed() {} }));
    let accepted;
    const connection = new Promise((resolve) => (accepted = resolve));
    const listener = await transport.listenTcp({ host: "127.0.0.1", port: 0, onStream: accepted });
    const open = transport.tcpConnector({ host: "127.0.0.1", port: listener.port });
    const client = await open(new AbortController().signal);
    const server = await connection;
    const [atClient, atServer] = [heard(client), heard(server)];
    client.write(Buffer.from("there"));
    server.write(Buffer.from("back"));
    assert.deepEqual([text.decode(await atServer), text.decode(await atClient)], ["there", "back"]);
    client.destroy();
    await listener.close();
  });

  test("log keeps what it committed", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hubwire-node-"));
    try {
      const options = { directory: join(folder, "log"), partitions: 2, segmentBytes: 64 * 1024 };
      const none = new Uint8Array(0);
      const first = await log.Log.open(options);
      for (let n = 0; n < 100; n++) {
        const bytes = Buffer.from(`record ${n}`);
        first.append(n % 2, none, bytes, 0, bytes.length);
      }
      await first.close();
      const second = await log.Log.open(options);
      const records = await second.read(1, "first", { recordsMax: 1000, bytesMax: 1e6 });
      assert.deepEqual(
        records.map(({ bytes }) => text.decode(bytes)),
        Array.from({ length: 50 }, (_, n) => `record ${2 * n + 1}`),
      );
      await second.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("device sends with QoS 1, receives, reads and reports", { timeout: 30_000 }, async () => {
    const { connectionString, ca } = JSON.parse(process.env.HUBWIRE_TEST_HUB);
    const client = await device.connect({ connectionString, ca });
    const sends = Array.from({ length: 20 }, (_, n) => client.sendTelemetry(`message ${n}`));
    await Promise.all(sends);
    for await (const message of client.messages()) {
      assert.equal(message.text(), "hello");
      await message.complete();
      break;
    }
    const { version } = await client.reportProperties({ node: process.version });
    const twin = await client.getTwin();
    assert.deepEqual(twin.reported, { node: process.version });
    assert.equal(twin.reportedVersion, version);
    await client[Symbol.asyncDispose]();
    assert.equal(client.status().state, "closed");
  });
}
