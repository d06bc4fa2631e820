/**
 * A hub for the registry benchmark. `node registry-server.ts '{"dataDirectory":"…"}'`; its line says how long it took to be
 * ready.
 */
import { createHub } from "@hubwire/hub";

export type RegistryServerInfo = {
  port: number;
  ca: string;
  connectionString: string;
  readyMs: number;
};

const options = JSON.parse(process.argv[2] ?? "{}") as { dataDirectory?: string };
const startedMs = performance.now();
const hub = await createHub({
  mqttPort: 0,
  httpsPort: 0,
  logLevel: "error",
  ...(options.dataDirectory === undefined ? {} : { dataDirectory: options.dataDirectory }),
});
const info: RegistryServerInfo = {
  port: hub.httpsPort,
  ca: hub.caPem,
  connectionString: hub.connectionString(),
  readyMs: performance.now() - startedMs,
};
process.stdout.write(`${JSON.stringify(info)}\n`);
process.on("SIGTERM", () => {
  void hub.stop().then(() => process.exit(0));
});
