import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "./world.ts";

const root = join(import.meta.dirname, "..", "..", "..", "..");

test("the built hub finds its worker thread and keeps its data", () => {
  using directory = temporaryDirectory();
  execFileSync(
    process.execPath,
    [join(root, "node_modules/typescript/bin/tsc"), "-b", "packages/hub"],
    {
      cwd: root,
      stdio: "pipe",
    },
  );
  const script = `
    import { createHub } from "@hubwire/hub";
    const config = { dataDirectory: ${JSON.stringify(directory.data)}, mqttPort: 0, httpsPort: 0, logLevel: "error" };
    let hub = await createHub(config);
    const { connectionString } = await hub.createDevice({ deviceId: "d" });
    await hub.stop();
    hub = await createHub(config);
    const port = /:(\\d+);/u;
    const again = await hub.deviceConnectionString("d");
    console.log(again.replace(port, ";") === connectionString.replace(port, ";"));
    await hub.stop();`;
  // Without the source condition the package's exports lead to dist.
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: join(root, "packages", "hub"),
    env: { ...process.env, NODE_OPTIONS: "" },
    encoding: "utf8",
  });
  expect(output.trim()).toBe("true");
});
