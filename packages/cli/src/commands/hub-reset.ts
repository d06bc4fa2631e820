import { existsSync, readdirSync, rmSync, rmdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { IotError } from "@hubwire/protocol";
import type { Command } from "commander";
import { contextOf } from "../context.ts";
import type { Output } from "../output.ts";

/** What a hub makes in its data directory. `hub.json` is the last to go: it says that this is a hub's directory. */
const made =
  /^(?:telemetry|hub\.db(?:-wal|-shm|-journal)?|lock\.db(?:-journal)?|(?:ca|ca-key|server|server-key)\.pem)$/u;
const sign = "hub.json";

export function addHubReset(hub: Command): void {
  hub
    .command("reset")
    .description("delete a hub's data: devices, twins, messages, keys and its CA")
    .option("-y, --yes", "do not ask")
    .addHelpText("after", "\nExample:\n  $ hubwire hub reset --data .hubwire --yes")
    .action(async ({ yes }: { yes?: boolean }, command: Command) => {
      const { dataDirectory, output } = contextOf(command);
      await resetHub(resolve(dataDirectory), yes === true, output);
    });
}

/** Deletes only what a hub made, and never under a running hub. */
async function resetHub(path: string, yes: boolean, output: Output): Promise<void> {
  if (!existsSync(path)) {
    output.line(`Nothing to delete: ${path} does not exist.`, { deleted: null });
    return;
  }
  if (!readdirSync(path).includes(sign)) {
    throw new IotError("cli.usage", `${path} is not a hub's data directory: it has no ${sign}.`);
  }
  await refuseUnderRunningHub(path);
  if (!yes && !(await agreed(`Delete the hub in ${path}? [y/N] `))) {
    output.line("Nothing deleted.", { deleted: null });
    return;
  }
  // It may have been started while the question stood.
  await refuseUnderRunningHub(path);
  for (const name of readdirSync(path).filter((entry) => made.test(entry))) {
    rmSync(join(path, name), { recursive: true });
  }
  rmSync(join(path, sign));
  const left = readdirSync(path);
  if (left.length === 0) rmdirSync(path);
  output.line(`Deleted the hub in ${path}.`, { deleted: path, left });
  if (left.length > 0) output.note(`Left alone, because no hub made it: ${left.join(", ")}`);
}

/** Asks the hub's own lock, which dies with its holder. */
async function refuseUnderRunningHub(path: string): Promise<void> {
  const { isDataDirectoryLocked } = await import("@hubwire/hub");
  if (!(await isDataDirectoryLocked(path))) return;
  throw new IotError("hub.data_locked", `A hub is running on ${path}. Stop it first.`);
}

async function agreed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new IotError("cli.usage", "Pass --yes to delete without being asked.");
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/iu.test((await prompt.question(question)).trim());
  } finally {
    prompt.close();
  }
}
