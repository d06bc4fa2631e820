/**
 * Runs in a network namespace of its own, where 8883 and 443 are a hub and its WebSocket front door. Starts tinyproxy and microsocks, lets
 * a device make its round through each, and prints one JSON object with what all sides saw.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "@hubwire/device";
import type { DeviceOptions, IotError } from "@hubwire/device";
import { createHub } from "@hubwire/hub";
import { testCertificates } from "@hubwire/testkit";
import { auto, webSocket } from "@hubwire/websocket";
import { findTelemetry } from "../support/find-telemetry.ts";
import { startWebSocketBridge } from "../../packages/websocket/test/bridge.ts";

const user = "device-1";
/** tinyproxy's file takes letters, digits and a few marks only. */
const httpPassword = "proxy-p.w_1";
const socksPassword = "p:w/ä@1";
const folder = mkdtempSync(join(tmpdir(), "hubwire-proxies-"));
const children: ChildProcess[] = [];

/** Starts a proxy and waits until it listens. */
async function start(name: string, port: number, command: string, args: string[]): Promise<string> {
  const log = join(folder, `${name}.log`);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  const file = createWriteStream(log);
  child.stdout.pipe(file, { end: false });
  child.stderr.pipe(file, { end: false });
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${command} ended: ${readFileSync(log, "utf8")}`);
    const listens = await new Promise<boolean>((resolve) => {
      const probe = connectTcp({ host: "127.0.0.1", port });
      probe.once("connect", () => resolve(true)).once("error", () => resolve(false));
      probe.once("connect", () => probe.destroy());
    });
    if (listens) return log;
    await sleep(10);
  }
}

function tinyproxy(name: string, port: number, connectPorts: readonly number[]): Promise<string> {
  const lines = [
    `Port ${port}`,
    "Listen 127.0.0.1",
    "Timeout 60",
    "MaxClients 50",
    "LogLevel Connect",
    "Allow 127.0.0.1",
    `BasicAuth ${user} ${httpPassword}`,
    ...connectPorts.map((each) => `ConnectPort ${each}`),
  ];
  const file = join(folder, `${name}.conf`);
  writeFileSync(file, `${lines.join("\n")}\n`);
  return start(name, port, "/usr/bin/tinyproxy", ["-d", "-c", file]);
}

const microsocks = (name: string, port: number, auth: readonly string[]): Promise<string> =>
  start(name, port, "/usr/bin/microsocks", ["-i", "127.0.0.1", "-p", String(port), ...auth]);

const certificates = await testCertificates();
const hub = await createHub({ mqttPort: 8883, httpsPort: 8443 });
const bridge = await startWebSocketBridge({
  port: 443,
  key: certificates.server.key,
  cert: certificates.server.fullChain,
  hub: { port: 8883, ca: hub.caPem },
});
const ca = [hub.caPem, certificates.root.cert];

async function optionsOf(deviceId: string, options: DeviceOptions) {
  const { connectionString } = await hub.createDevice({ deviceId });
  return { connectionString, ca, connectTimeoutMs: 20_000, ...options };
}

/** One device's day: connect, telemetry, a cloud-to-device message, a method, a twin, close. */
async function round(deviceId: string, options: DeviceOptions) {
  const before = bridge.taken;
  const client = await connect(await optionsOf(deviceId, options));
  client.onMethod("echo", ({ payload }) => ({ payload: payload ?? null }));
  const body = "x".repeat(100_000);
  await Promise.all([client.sendTelemetry(body), client.sendTelemetry("second")]);
  const stored = await findTelemetry(
    hub.telemetry,
    (event) => event.deviceId === deviceId && event.body.length === body.length,
  );
  await hub.sendToDevice(deviceId, "open the window");
  let received = "";
  for await (const message of client.messages()) {
    received = message.text();
    await message.complete();
    break;
  }
  const { version } = await client.reportProperties({ through: deviceId });
  await client.close();
  while ((await hub.c2d.count(deviceId)) > 0) await sleep(5);
  return {
    stored: Buffer.from(stored.body).toString() === body,
    received,
    version,
    overWebSocket: bridge.taken - before,
  };
}

async function failure(deviceId: string, options: DeviceOptions) {
  const given = await optionsOf(deviceId, options);
  const error: unknown = await connect(given).then(
    (client) => client.close().then(() => "connected"),
    (reason: unknown) => reason,
  );
  const { code, message, cause } = error as IotError & { cause?: IotError };
  // What heals may come wrapped in "not connected in time".
  return { code: cause?.code ?? code, message };
}

try {
  const [open, narrow, socks, socksOpen] = await Promise.all([
    tinyproxy("open", 8888, [443, 8883]),
    tinyproxy("narrow", 8889, [443]),
    microsocks("socks", 1080, ["-u", user, "-P", socksPassword]),
    microsocks("socks-open", 1081, []),
  ]);
  const http = { url: "http://127.0.0.1:8888", username: user, password: httpPassword };
  const httpUrl = `http://${user}:${httpPassword}@127.0.0.1:8888`;
  const socksUrl = `socks5://${user}:${encodeURIComponent(socksPassword)}@127.0.0.1:1080`;
  const transport = webSocket();
  const seen = {
    rounds: {
      "tls-http": await round("tls-http", { proxy: http }),
      "tls-http-url": await round("tls-http-url", { proxy: httpUrl }),
      "tls-socks": await round("tls-socks", { proxy: socksUrl }),
      "tls-socks-open": await round("tls-socks-open", { proxy: "socks5h://127.0.0.1:1081" }),
      ws: await round("ws", { transport }),
      "ws-http": await round("ws-http", { transport, proxy: http }),
      "ws-socks": await round("ws-socks", {
        transport,
        proxy: { url: "socks5://127.0.0.1:1080", username: user, password: socksPassword },
      }),
      "auto-direct": await round("auto-direct", { transport: "auto" }),
      "auto-narrow": await round("auto-narrow", {
        transport: auto(),
        proxy: { ...http, url: "http://127.0.0.1:8889" },
      }),
    },
    failures: {
      none: await failure("none", { proxy: "http://127.0.0.1:8888" }),
      wrong: await failure("wrong", { proxy: { ...http, password: "wrong-password-1" } }),
      "socks-none": await failure("socks-none", { proxy: "socks5://127.0.0.1:1080" }),
      "socks-wrong": await failure("socks-wrong", {
        proxy: { url: "socks5://127.0.0.1:1080", username: user, password: "wrong-password-1" },
      }),
      narrow: await failure("narrow", {
        proxy: { ...http, url: "http://127.0.0.1:8889" },
        connectTimeoutMs: 500,
      }),
      "shut-port": await failure("shut-port", {
        proxy: "socks5://127.0.0.1:1081",
        port: 9,
        connectTimeoutMs: 500,
      }),
      "kinds-mixed-up": await failure("kinds-mixed-up", {
        proxy: "http://127.0.0.1:1081",
        connectTimeoutMs: 500,
      }),
    },
    logs: [open, narrow, socks, socksOpen].map((file) => readFileSync(file, "utf8")),
  };
  process.stdout.write(`${JSON.stringify(seen)}\n`);
} finally {
  for (const child of children) child.kill();
  await bridge.close();
  await hub.stop();
  rmSync(folder, { recursive: true, force: true });
}
