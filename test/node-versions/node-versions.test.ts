import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect } from "vitest";
import { nodeBinary } from "./node-binaries.ts";
import { testPackages } from "./packages.ts";
import { runScript } from "./run-script.ts";
import { testTrust } from "./trust.ts";
import { testVersions, versions } from "./versions.ts";
import { testWebSocket } from "./web-socket.ts";

// One file for both, so that nothing is built or installed twice at the same time.
beforeAll(async () => {
  const root = join(import.meta.dirname, "../..");
  // The compiler asks its own notes whether there is anything to do, and these outlive a deleted dist.
  const libraries = ["protocol", "transport", "log", "device", "websocket", "pkcs11", "keychain"];
  const isThere = [...libraries, "hub", "cli"].every((name) =>
    existsSync(join(root, "packages", name, "dist")),
  );
  const projects = ["cli", "websocket", "pkcs11", "keychain"].map((name) => `packages/${name}`);
  const [built] = await Promise.all([
    runScript("tsc", ["-b", ...(isThere ? [] : ["--force"]), ...projects], { cwd: root }),
    ...versions.map((version) => nodeBinary(version)),
  ]);
  expect(built.code, built.output).toBe(0);
  const bundled = await runScript(process.execPath, ["scripts/bundle.mjs"], { cwd: root });
  expect(bundled.code, bundled.output).toBe(0);
}, 300_000);

describe("what was built", testVersions);
describe("what is trusted", () => testTrust(versions));
describe("MQTT over WebSocket", () => testWebSocket(versions));
describe("what is published", testPackages);
