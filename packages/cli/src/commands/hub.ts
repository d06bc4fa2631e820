import { existsSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { IotError } from "@hubwire/protocol";
import { Option, type Command } from "commander";
import { wholeNumber } from "../arguments.ts";
import { contextOf, withRest } from "../context.ts";
import { createOutput, interruptSignal, table } from "../output.ts";
import { connectionStringFor, readDevice } from "./device.ts";

type StartOptions = {
  host: string;
  mqttPort?: number;
  httpsPort?: number;
  hostName?: string[];
  deviceCa?: string[];
  memory?: boolean;
  partitions?: number;
  clockTolerance?: number;
  expiryGrace?: number;
  lenient?: boolean;
  strictUserName?: boolean;
  logLevel: string;
  logFormat: string;
};

export function addHubCommands(program: Command): void {
  const hub = program.command("hub").description("run a hub on this machine");

  hub
    .command("start")
    .description("start a hub and keep it running until Ctrl-C")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--mqtt-port <port>", "MQTT over TLS (default 8883)", wholeNumber(0, 65_535))
    .option(
      "--https-port <port>",
      "service REST (default 443, else 8443, else a free one)",
      wholeNumber(0, 65_535),
    )
    .option("--host-name <name...>", "names the hub answers to, besides localhost")
    .option("--device-ca <file...>", "PEM of CAs whose device certificates are trusted")
    .option("--memory", "keep everything in memory: gone when the hub stops")
    .option("--partitions <n>", "telemetry partitions, fixed at creation", wholeNumber(1, 32))
    .option("--clock-tolerance <s>", "accepted token age past expiry", wholeNumber(0, 3600))
    .option("--expiry-grace <s>", "how long past expiry a session lives", wholeNumber(0, 600))
    .option("--lenient", "answer unknown topic filters with 0x80 instead of closing")
    .option("--strict-user-name", "refuse a CONNECT without user name, as Azure does")
    .addOption(
      new Option("--log-level <level>", "how much to log")
        .choices(["debug", "info", "warn", "error", "silent"])
        .default("info"),
    )
    .addOption(
      new Option("--log-format <format>", "lines for people or JSON for machines")
        .choices(["pretty", "json"])
        .default(process.stdout.isTTY ? "pretty" : "json"),
    )
    .addHelpText(
      "after",
      `\nExamples:
  $ hubwire hub start
  $ hubwire hub start --memory --mqtt-port 0 --https-port 0
  $ hubwire hub start --device-ca factory-ca.pem`,
    )
    .action(async (options: StartOptions, command: Command) => {
      const context = contextOf(command);
      const signal = interruptSignal();
      const { createHub } = await import("@hubwire/hub");
      const deviceCas = (options.deviceCa ?? []).map((file) => readFileSync(file, "utf8"));
      await using running = await createHub({
        host: options.host,
        logLevel: options.logLevel,
        logFormat: options.logFormat,
        deviceCas,
        ...(options.memory === true ? {} : { dataDirectory: context.dataDirectory }),
        ...(options.mqttPort === undefined ? {} : { mqttPort: options.mqttPort }),
        ...(options.httpsPort === undefined ? {} : { httpsPort: options.httpsPort }),
        ...(options.hostName === undefined ? {} : { hostNames: options.hostName }),
        ...(options.partitions === undefined ? {} : { partitions: options.partitions }),
        ...(options.clockTolerance === undefined
          ? {}
          : { clockToleranceS: options.clockTolerance }),
        ...(options.expiryGrace === undefined ? {} : { expiryGraceS: options.expiryGrace }),
        ...(options.lenient === true ? { mode: "lenient" as const } : {}),
        ...(options.strictUserName === true ? { strictUserName: true } : {}),
      });
      const ready = {
        event: "ready",
        mqtt: `mqtts://${running.hostName}:${running.mqttPort}`,
        https: `https://${running.hostName}:${running.httpsPort}`,
        data: options.memory === true ? null : resolve(context.dataDirectory),
        caFile: running.caFile ?? null,
      };
      context.output.line(
        table([
          ["MQTT", ready.mqtt],
          ["HTTPS", ready.https],
          ["data", ready.data ?? "in memory"],
          ["CA file", ready.caFile ?? "in memory"],
          ["next", "hubwire device create my-device   (Ctrl-C stops the hub)"],
        ]),
        ready,
      );
      await new Promise<void>((done) => {
        signal.addEventListener("abort", () => done(), { once: true });
        if (signal.aborted) done();
      });
      context.output.note("Stopping: finishing accepted work. Ctrl-C again leaves at once.");
    });

  hub
    .command("connection-string")
    .description("the service connection string, or a device's")
    .option("-d, --device <deviceId>", "the connection string of this device")
    .action(async (options: { device?: string }, command: Command) => {
      const context = contextOf(command);
      const target = context.target();
      if (options.device === undefined) {
        const connectionString = `HostName=${hostWithPort(target.hostName, target.httpsPort)};SharedAccessKeyName=${target.policyName};SharedAccessKey=${target.key}`;
        context.output.line(connectionString, { connectionString, caFile: target.caFile ?? null });
        return;
      }
      const { device } = options;
      const found = await withRest(context, (client) => readDevice(client, device));
      const connectionString = connectionStringFor(target, found);
      context.output.line(connectionString, { connectionString, caFile: target.caFile ?? null });
    });

  hub
    .command("reset")
    .description("delete a hub's data: devices, twins, messages, keys and its CA")
    .option("-y, --yes", "do not ask")
    .action(async (options: { yes?: boolean }, command: Command) => {
      const context = contextOf(command);
      await resetHub(context.dataDirectory, options.yes === true, context.output.json);
    });
}

const hostWithPort = (hostName: string, port: number): string =>
  port === 443 ? hostName : `${hostName}:${port}`;

/** Deletes only what a hub made, and never under a running hub. */
async function resetHub(directory: string, yes: boolean, json: boolean): Promise<void> {
  const output = createOutput(json);
  const path = resolve(directory);
  if (!existsSync(path)) {
    output.line(`Nothing to delete: ${path} does not exist.`, { deleted: null });
    return;
  }
  if (!readdirSync(path).includes("hub.json")) {
    throw new IotError("cli.usage", `${path} does not look like a hub's data directory.`);
  }
  if (await isRunning(directory)) {
    throw new IotError("hub.data_locked", `A hub is running on ${path}. Stop it first.`);
  }
  if (!yes) {
    if (!process.stdin.isTTY) {
      throw new IotError("cli.usage", "Pass --yes to delete without being asked.");
    }
    const prompt = createInterface({ input: process.stdin, output: process.stderr });
    const answer = await prompt.question(`Delete everything in ${path}? [y/N] `);
    prompt.close();
    if (!/^y(es)?$/iu.test(answer.trim())) {
      output.line("Nothing deleted.", { deleted: null });
      return;
    }
  }
  for (const entry of readdirSync(path)) rmSync(join(path, entry), { recursive: true });
  output.line(`Deleted the hub in ${path}.`, { deleted: path });
}

/** Asks the store's own lock, which dies with its holder. */
async function isRunning(directory: string): Promise<boolean> {
  const { isDataDirectoryLocked } = await import("@hubwire/hub");
  return isDataDirectoryLocked(directory);
}
