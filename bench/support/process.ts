import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** `taskset -c core` where the machine has it: server and generator must not share a core. */
function pinned(core: number, command: string, args: readonly string[]): [string, string[]] {
  const hasTaskset = spawnSync("taskset", ["--version"], { stdio: "ignore" }).error === undefined;
  return hasTaskset ? ["taskset", ["-c", String(core), command, ...args]] : [command, [...args]];
}

const nodeFlags = ["--conditions=@hubwire/source", "--disable-warning=ExperimentalWarning"];

export type Server<T> = { info: T; pid: number; stop: () => Promise<void> };

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await gone;
  clearTimeout(timer);
}

/** Starts a Node server script on core 0; its first line of output is JSON about itself. */
export async function startNodeServer<T>(
  script: string,
  args: readonly string[],
): Promise<Server<T>> {
  const [command, all] = pinned(0, process.execPath, [...nodeFlags, script, ...args]);
  const child = spawn(command, all, { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const info = await new Promise<T>((resolve, reject) => {
    lines.once("line", (line) => resolve(JSON.parse(line) as T));
    child.once("exit", (code) => reject(new Error(`${script} ended with ${code}`)));
  });
  return { info, pid: child.pid ?? 0, stop: () => stopChild(child) };
}

/** Starts a foreign program on core 0. The caller knows how to tell that it is up. */
export function startProgram(command: string, args: readonly string[]): Server<undefined> {
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin`;
  const [first, all] = pinned(0, command, args);
  const child = spawn(first, all, { stdio: "ignore", env: { ...process.env, PATH: path } });
  return { info: undefined, pid: child.pid ?? 0, stop: () => stopChild(child) };
}

/** Runs a Node script on core 1 with one JSON line in and one out. */
export async function runNode<T>(
  script: string,
  input: object,
  flags: readonly string[] = [],
): Promise<T> {
  return runCompiled(process.execPath, script, input, [...nodeFlags, ...flags]);
}

/** The same for plain JavaScript on any Node. */
export async function runCompiled<T>(
  node: string,
  script: string,
  input: object,
  flags: readonly string[] = [],
): Promise<T> {
  const [command, all] = pinned(1, node, [...flags, script]);
  const child = spawn(command, all, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify(input));
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString("utf8");
  if (text === "") throw new Error(`${script} printed no result`);
  return JSON.parse(text) as T;
}

export type Tls = { directory: string; keyFile: string; certFile: string; ca: string };

/** A throwaway P-256 certificate for localhost, in a folder that `remove` deletes. */
export function makeCertificate(): Tls & { remove: () => void } {
  const directory = mkdtempSync(join(tmpdir(), "hubwire-bench-"));
  const keyFile = join(directory, "key.pem");
  const certFile = join(directory, "cert.pem");
  const made = spawnSync(
    "openssl",
    [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" "),
      ..."-subj /CN=localhost -addext subjectAltName=DNS:localhost".split(" "),
      "-keyout",
      keyFile,
      "-out",
      certFile,
    ],
    { encoding: "utf8" },
  );
  if (made.status !== 0) throw new Error(`openssl could not make a certificate: ${made.stderr}`);
  return {
    directory,
    keyFile,
    certFile,
    ca: readFileSync(certFile, "utf8"),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
