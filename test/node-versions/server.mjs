// The hub and the command, on every Node they promise to run on.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test from "node:test";
import { connect } from "@hubwire/device";
import { createHub, startHub } from "@hubwire/hub";

const command = join(import.meta.dirname, "../../packages/cli/bin/hubwire.js");

const bodies = async (hub) => {
  const found = [];
  for (let partition = 0; partition < hub.telemetry.partitionCount; partition++) {
    const events = await hub.telemetry.read(partition, "first", {
      recordsMax: 1000,
      bytesMax: 1e6,
    });
    found.push(...events.map(({ body }) => Buffer.from(body).toString()));
  }
  return found;
};

const inFolder = async (work) => {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-node-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

test("require gives the hub that import gives", () => {
  const required = createRequire(import.meta.url)("@hubwire/hub");
  assert.equal(required.startHub, startHub);
});

test("a hub in memory serves a device", { timeout: 30_000 }, async () => {
  const hub = await startHub();
  const { connectionString } = await hub.createDevice({ deviceId: "d" });
  const client = await connect({
    connectionString,
    ca: hub.caPem,
    methods: { echo: ({ payload }) => ({ status: 200, payload }) },
  });
  await client.sendTelemetry("one");
  assert.deepEqual(await bodies(hub), ["one"]);
  assert.deepEqual(await hub.invokeMethod("d", "echo", { a: 1 }), {
    status: 200,
    payload: { a: 1 },
  });
  await client.close();
  await hub.stop();
});

test("a hub on disk keeps what it acknowledged", { timeout: 30_000 }, () =>
  inFolder(async (folder) => {
    const config = {
      dataDirectory: join(folder, "data"),
      mqttPort: 0,
      httpsPort: 0,
      logLevel: "warn",
    };
    const first = await createHub(config);
    const { connectionString } = await first.createDevice({ deviceId: "d" });
    const client = await connect({ connectionString, ca: first.caPem });
    await Promise.all(Array.from({ length: 50 }, (_, n) => client.sendTelemetry(`kept ${n}`)));
    await client.reportProperties({ kept: true });
    await client.close();
    await first.stop();
    const second = await createHub(config);
    assert.equal((await bodies(second)).length, 50);
    const { twin } = await second.twins.read({ deviceId: "d", moduleId: undefined });
    assert.equal(twin.properties.reported.kept, true);
    await second.stop();
  }),
);

test("the command starts a hub, registers a device, sends and lists", { timeout: 60_000 }, () =>
  inFolder(async (folder) => {
    const run = (...args) =>
      spawn(process.execPath, [command, "--data", folder, "--json", ...args], {
        stdio: ["ignore", "pipe", "pipe"],
      });
    const finished = async (...args) => {
      const child = run(...args);
      let output = "";
      let errors = "";
      child.stdout.on("data", (chunk) => (output += chunk));
      child.stderr.on("data", (chunk) => (errors += chunk));
      const [code] = await once(child, "close");
      assert.equal(code, 0, `hubwire ${args.join(" ")}: ${errors}`);
      return output;
    };
    const hub = run("hub", "start", "--mqtt-port", "0", "--https-port", "0");
    try {
      const ready = await Promise.race([
        once(createInterface({ input: hub.stdout }), "line"),
        once(hub, "close").then(([code]) => assert.fail(`hub start ended with ${code}`)),
      ]);
      assert.equal(JSON.parse(ready[0]).event, "ready");
      await finished("device", "create", "d1");
      await finished("send", "d1", '{"temperature":21.5}');
      assert.match(await finished("device", "list"), /"d1"/);
    } finally {
      hub.kill("SIGTERM");
    }
    await once(hub, "close");
  }),
);
