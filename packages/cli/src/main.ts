import { IotError } from "@hubwire/protocol";
import { Command, CommanderError } from "commander";
import { addDeviceCommands } from "./commands/device.ts";
import { addHubCommands } from "./commands/hub.ts";
import { addCaCommands } from "./commands/ca.ts";
import { addC2dCommands } from "./commands/c2d.ts";
import { addFeedbackCommand } from "./commands/feedback.ts";
import { addModuleCommands } from "./commands/module.ts";
import { addMonitorCommand } from "./commands/monitor.ts";
import { addQueryCommand } from "./commands/query.ts";
import { addSasCommand } from "./commands/sas.ts";
import { addSendCommand } from "./commands/send.ts";
import { addTwinAndMethodCommands } from "./commands/twin-and-method.ts";
import { ExitCode, printError } from "./output.ts";

/** The whole command tree; also what the documentation tests read. */
export function createProgram(): Command {
  const program = new Command("hubwire")
    .description("Everything between a device and Azure IoT Hub, on your own machine or on Azure.")
    .version("0.1.0")
    .option("--json", "JSON output, one object a line")
    .option("--data <directory>", "the local hub's data directory (default .hubwire)")
    .option("--connection-string <string>", "service connection string of another hub")
    .option("--ca <file>", "PEM of a CA to trust besides the usual ones")
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      "after",
      `
Examples:
  $ hubwire hub start                                   a hub, its data in .hubwire
  $ hubwire device create thermostat-1                  prints the connection string
  $ hubwire monitor                                     shows telemetry as it arrives
  $ hubwire send thermostat-1 '{"temperature":21.5}'
  $ hubwire c2d send thermostat-1 'open the window'
  $ hubwire method thermostat-1 reboot '{"delay":5}'
  $ hubwire twin update thermostat-1 '{"properties":{"desired":{"interval":5}}}'

Which hub: --connection-string, else IOTHUB_CONNECTION_STRING, else the hub in --data.
Exit codes: 0 done, 1 failed (the message says why and what to do), 2 wrong usage, 130 interrupted.`,
    );
  addHubCommands(program);
  addDeviceCommands(program);
  addModuleCommands(program);
  addSendCommand(program);
  addC2dCommands(program);
  addMonitorCommand(program);
  addFeedbackCommand(program);
  addTwinAndMethodCommands(program);
  addQueryCommand(program);
  addCaCommands(program);
  addSasCommand(program);
  return program;
}

/** Runs one command line. @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const json = wantsJson(args);
  const program = createProgram();
  for (const command of [program, ...allCommands(program)]) {
    command.exitOverride();
    // What commander has to say about wrong usage is printed below, once, in the form asked for.
    command.configureOutput({ outputError: () => {} });
    if (json) command.configureOutput({ writeErr: () => {} });
  }
  try {
    await program.parseAsync([...args], { from: "user" });
    return ExitCode.ok;
  } catch (error) {
    return tell(error, json);
  }
}

function tell(thrown: unknown, json: boolean): number {
  if (thrown instanceof CommanderError) {
    if (thrown.exitCode === 0) return ExitCode.ok;
    // A command that only has subcommands was given none: its help has been shown.
    const isHelp = thrown.code === "commander.help";
    if (isHelp && !json) return ExitCode.usage;
    const message = isHelp ? "A subcommand is missing." : sentence(thrown.message);
    printError(new IotError("cli.usage", message), json);
    return ExitCode.usage;
  }
  if (thrown instanceof IotError && thrown.code === "call.aborted") return ExitCode.interrupted;
  printError(thrown, json);
  return thrown instanceof IotError && thrown.code === "cli.usage"
    ? ExitCode.usage
    : ExitCode.failed;
}

/** `error: unknown command 'x'`, a suggestion on a line of its own, as one sentence. */
function sentence(message: string): string {
  const text = message.replace(/^error: /u, "").replaceAll("\n", " ");
  return text.slice(0, 1).toUpperCase() + text.slice(1) + (/[.)]$/u.test(text) ? "" : ".");
}

/** Known before the rest is parsed, so that even a mistake in the rest is told in JSON. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? args.length : end).includes("--json");
}

function* allCommands(command: Command): Generator<Command> {
  for (const child of command.commands) {
    yield child as Command;
    yield* allCommands(child as Command);
  }
}
