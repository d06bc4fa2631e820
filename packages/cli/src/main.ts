import { Command, CommanderError } from "commander";
import { addDeviceCommands } from "./commands/device.ts";
import { addHubCommands } from "./commands/hub.ts";
import { addMessageCommands } from "./commands/messages.ts";
import { addSasCommand } from "./commands/sas.ts";
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
    .showHelpAfterError("(see --help)")
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
  addMessageCommands(program);
  addTwinAndMethodCommands(program);
  addSasCommand(program);
  return program;
}

/** Runs one command line. @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const program = createProgram().exitOverride();
  for (const command of allCommands(program)) command.exitOverride();
  try {
    await program.parseAsync([...args], { from: "user" });
    return ExitCode.ok;
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
    }
    printError(error, args.includes("--json"));
    return isUsageError(error) ? ExitCode.usage : ExitCode.failed;
  }
}

function* allCommands(command: Command): Generator<Command> {
  for (const child of command.commands) {
    yield child as Command;
    yield* allCommands(child as Command);
  }
}

const isUsageError = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "cli.usage";
