// The container's health check: node docker/healthcheck.mjs /data. Exits 0 when the hub serves /healthz, with its certificate verified.
import { readFileSync } from "node:fs";
import { get } from "node:https";
import { join } from "node:path";

const directory = process.argv[2] ?? "/data";
const { httpsPort } = JSON.parse(readFileSync(join(directory, "hub.json"), "utf8"));
const ca = readFileSync(join(directory, "ca.pem"), "utf8");

const request = get(
  { host: "127.0.0.1", port: httpsPort, path: "/healthz", ca, timeout: 4000 },
  (response) => {
    response.resume();
    process.exitCode = response.statusCode === 200 ? 0 : 1;
  },
);
request.on("timeout", () => request.destroy(new Error("no answer in 4 s")));
request.on("error", (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
