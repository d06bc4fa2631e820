import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { createHub } from "@hubwire/hub";
import { expect, test } from "vitest";
import { temporaryDirectory } from "./world.ts";

const root = join(import.meta.dirname, "..", "..", "..", "..");

type Instruction = { name: string; args: string };

/** Docker's own reading: comments and continuation lines, one instruction each. */
function parse(text: string): Instruction[] {
  const joined = text.replaceAll(/^\s*#.*\n/gmu, "").replaceAll(/\\\n\s*/gu, "");
  return joined
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const match = /^([A-Z]+)\s+(.+)$/u.exec(line);
      if (match === null) throw new Error(`not an instruction: ${line}`);
      return { name: match[1]!, args: match[2]! };
    });
}

const instructions = parse(readFileSync(join(root, "Dockerfile"), "utf8"));
const starts = instructions.flatMap(({ name }, index) => (name === "FROM" ? [index] : []));
const stages = starts.map((start, n) => instructions.slice(start, starts[n + 1]));
const final = stages.at(-1)!;
const only = (name: string): string => {
  const found = final.filter((instruction) => instruction.name === name);
  expect(found, name).toHaveLength(1);
  return found[0]!.args;
};

test("every instruction is one Docker has, and every stage is built on Node's slim image", () => {
  const known =
    /^(FROM|WORKDIR|COPY|RUN|ENV|USER|VOLUME|EXPOSE|STOPSIGNAL|HEALTHCHECK|ENTRYPOINT)$/u;
  for (const { name } of instructions) expect(name).toMatch(known);
  expect(instructions[0]?.name).toBe("FROM");
  for (const stage of stages) expect(stage[0]?.args).toMatch(/^node:24-slim( AS [a-z]+)?$/u);
});

test("what is copied exists here, is not ignored, or comes from an earlier stage", () => {
  const ignore = readFileSync(join(root, ".dockerignore"), "utf8").split("\n");
  const earlier: string[] = [];
  for (const stage of stages) {
    for (const { name, args } of stage) {
      if (name !== "COPY") continue;
      const words = args.split(/\s+/u);
      const from = words.find((word) => word.startsWith("--from="));
      if (from !== undefined) {
        expect(earlier).toContain(from.slice("--from=".length));
        continue;
      }
      for (const source of words.slice(0, -1)) {
        expect(existsSync(join(root, source)), source).toBe(true);
        expect(ignore).toContain(`!${source}`);
      }
    }
    const named = / AS ([a-z]+)$/u.exec(stage[0]?.args ?? "");
    if (named) earlier.push(named[1]!);
  }
});

test("the hub runs as nobody special, keeps its data in a volume and listens where the ports are exposed", () => {
  expect(only("USER")).toBe("node");
  expect(only("VOLUME")).toBe("/data");
  expect(only("EXPOSE")).toBe("8883 443");
  expect(only("STOPSIGNAL")).toBe("SIGTERM");
  const order = final.map(({ name }) => name);
  expect(order.lastIndexOf("RUN")).toBeLessThan(order.indexOf("USER"));
});

test("the command is one the hub's own command line takes", async () => {
  const command = JSON.parse(only("ENTRYPOINT")) as string[];
  expect(command[0]).toBe("node");
  const source = command[1]!;
  expect(existsSync(join(root, source)), source).toBe(true);
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--conditions=@hubwire/source",
    "--disable-warning=ExperimentalWarning",
    join(root, source),
    "hub",
    "start",
    "--help",
  ]);
  for (const flag of command.filter((word) => word.startsWith("--"))) {
    expect(stdout).toContain(`${flag} `);
  }
  expect(command.slice(command.indexOf("--host")).slice(0, 2)).toEqual(["--host", "0.0.0.0"]);
});

test("the health check succeeds on a running hub and fails on a stopped one", async () => {
  using directory = temporaryDirectory();
  const check = /CMD (\[.*\])$/u.exec(only("HEALTHCHECK"));
  const [program, script] = JSON.parse(check![1]!) as string[];
  expect(program).toBe("node");
  const run = () =>
    promisify(execFile)(process.execPath, [join(root, script!), directory.data]).then(
      () => "healthy",
      () => "unhealthy",
    );
  const hub = await createHub({
    dataDirectory: directory.data,
    mqttPort: 0,
    httpsPort: 0,
    logLevel: "error",
  });
  expect(await run()).toBe("healthy");
  await hub.stop();
  expect(await run()).toBe("unhealthy");
});
