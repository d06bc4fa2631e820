import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHub, type Hub, type HubConfig } from "@hubwire/hub";
import { run, type Ran } from "./run.ts";

export type World = AsyncDisposable & {
  hub: Hub;
  /** The hub's data directory. */
  data: string;
  /** A folder for the test's own files. */
  folder: string;
  /** Runs a command against this hub. */
  hubwire(...args: string[]): Promise<Ran>;
};

/** A hub on free ports with its data on disk, as the command expects one. */
export async function createWorld(config: HubConfig = {}): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-cli-"));
  const data = join(folder, "data");
  const hub = await createHub({
    dataDirectory: data,
    mqttPort: 0,
    httpsPort: 0,
    amqpPort: 0,
    amqpPlainPort: 0,
    logLevel: "silent",
    ...config,
  });
  return {
    hub,
    data,
    folder,
    hubwire: (...args) => run("--data", data, ...args),
    async [Symbol.asyncDispose]() {
      await hub.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
