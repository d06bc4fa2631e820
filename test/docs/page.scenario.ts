/**
 * Runs the blocks of one page (`DOCS_PAGE`) from top to bottom, in a folder of their own and a network namespace of their own, so that what
 * stands on the page works as it stands there, standard ports included. Prints one JSON object: the blocks with what they printed.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findPython } from "../../scripts/system-packages.ts";
import { blocksOf, type Block } from "./markdown.ts";

const BLOCK_TIMEOUT_MS = 40_000;
const STOP_TIMEOUT_MS = 10_000;

const root = join(import.meta.dirname, "..", "..");
const page = process.env["DOCS_PAGE"] ?? "";
const folder = mkdtempSync(join(tmpdir(), "hubwire-docs-"));
symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');

const python = findPython();
const { NODE_OPTIONS: _, ...inherited } = process.env;
const env = {
  ...inherited,
  PATH: [join(root, "node_modules", ".bin"), process.env["PATH"] ?? ""].join(delimiter),
  NODE_NO_WARNINGS: "1",
  npm_config_update_notifier: "false",
  npm_config_offline: "true",
};

export type Ran = Block & { stdout: string; stderr: string; exit: number | null };
type Running = { ran: Ran; child: ChildProcess; ended: Promise<void> };

function commandOf(block: Block, index: number): [string, string[]] {
  switch (block.language) {
    case "sh":
      return ["bash", ["-euo", "pipefail", "-c", block.code]];
    case "ts": {
      const file = join(folder, `block-${index}.ts`);
      writeFileSync(file, block.code);
      return [process.execPath, [file]];
    }
    case "python":
      if (python === undefined) throw new Error("no Python with paho");
      return [python, ["-W", "ignore", "-c", block.code]];
    default:
      throw new Error(`line ${block.line}: blocks of language "${block.language}" cannot be run`);
  }
}

function start(block: Block, index: number): Running {
  const [command, args] = commandOf(block, index);
  // A group of its own, so that a shell's children end with it.
  const child = spawn(command, args, {
    cwd: folder,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ran: Ran = { ...block, stdout: "", stderr: "", exit: null };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (ran.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (ran.stderr += text));
  const ended = new Promise<void>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      ran.exit = code;
      resolve();
    });
  });
  return { ran, child, ended };
}

function signalGroup({ child, ran }: Running, signal: NodeJS.Signals): void {
  if (child.pid === undefined || ran.exit !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has just ended by itself.
  }
}

async function endedWithin(running: Running, timeoutMs: number): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(timeoutMs, true, { signal: timer.signal }).catch(() => true);
  const isLate = await Promise.race([running.ended.then(() => false), late]);
  timer.abort();
  return !isLate;
}

async function stop(running: Running): Promise<void> {
  signalGroup(running, "SIGINT");
  if (await endedWithin(running, STOP_TIMEOUT_MS)) return;
  signalGroup(running, "SIGKILL");
  await running.ended;
}

/** A number out of the hub's metrics; undefined while there is no hub that answers. */
function metric(name: string): Promise<number | undefined> {
  let ca: string;
  try {
    ca = readFileSync(join(folder, ".hubwire", "ca.pem"), "utf8");
  } catch {
    return Promise.resolve(undefined);
  }
  return new Promise((resolve) => {
    const asking = request({ host: "localhost", port: 443, path: "/metrics", ca }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => {
        const found = new RegExp(`^${name} (\\S+)$`, "mu").exec(text)?.[1];
        resolve(found === undefined ? undefined : Number(found));
      });
    });
    asking.on("error", () => resolve(undefined));
    asking.end();
  });
}

/** Waits for what a background block is for: a hub that answers, or one more connected device. Devices wait for a proxy themselves. */
async function ready(running: Running, connectedBefore: number): Promise<void> {
  const deadline = performance.now() + BLOCK_TIMEOUT_MS;
  const wanted = /hub start|tinyproxy/u.test(running.ran.code) ? 0 : connectedBefore + 1;
  while (performance.now() < deadline) {
    if (running.ran.exit !== null) throw new Error("it ended instead of running on");
    const connected = await metric("hubwire_connections");
    if (connected !== undefined && connected >= wanted) return;
    await sleep(100);
  }
  throw new Error("it did not get ready in time");
}

const background: Running[] = [];
const done: Ran[] = [];
let failure: string | undefined;
try {
  const blocks = blocksOf(readFileSync(join(root, page), "utf8"));
  for (const [index, block] of blocks.entries()) {
    if (!["sh", "ts", "python"].includes(block.language)) continue;
    const connected = (await metric("hubwire_connections")) ?? 0;
    const running = start(block, index);
    done.push(running.ran);
    try {
      if (block.background) {
        background.push(running);
        await ready(running, connected);
      } else {
        if (!(await endedWithin(running, BLOCK_TIMEOUT_MS))) {
          await stop(running);
          throw new Error("it did not end in time");
        }
        if (running.ran.exit !== 0) throw new Error(`it ended with ${running.ran.exit}`);
      }
    } catch (error) {
      failure = `line ${block.line}: ${error instanceof Error ? error.message : String(error)}`;
      break;
    }
  }
} finally {
  // The devices first, then the hub.
  for (const running of background.toReversed()) await stop(running);
  rmSync(folder, { recursive: true, force: true });
}
process.stdout.write(`${JSON.stringify({ failure, blocks: done })}\n`);
