import type { Command } from "commander";
import type { Ref, TwinPatch } from "@hubwire/service";
import { parseJsonArgument, wholeNumber } from "../arguments.ts";
import { contextOf, withService } from "../context.ts";
import { interruptible } from "../interrupt.ts";

type OfModule = { module?: string };

const refOf = (deviceId: string, { module }: OfModule): Ref => ({ deviceId, moduleId: module });

export function addTwinAndMethodCommands(program: Command): void {
  const twin = program.command("twin").description("twins of devices and modules");

  twin
    .command("get <deviceId>")
    .description("print the whole twin")
    .option("-m, --module <moduleId>", "the twin of this module")
    .addHelpText("after", "\nExample:\n  $ hubwire twin get thermostat-1")
    .action((deviceId: string, options: OfModule, command: Command) =>
      interruptible(async (signal) => {
        const context = contextOf(command);
        const found = await withService(context.target(), ({ twins }) =>
          twins.get(refOf(deviceId, options), { signal }),
        );
        context.output.line(JSON.stringify(found, null, 2), found);
      }),
    );

  twin
    .command("update <deviceId> <patch>")
    .description("merge a patch into tags and desired properties")
    .option("-m, --module <moduleId>", "the twin of this module")
    .option("--if-match <etag>", "only if the twin still has this etag")
    .option("--replace", "replace the sections instead of merging into them")
    .addHelpText(
      "after",
      `\nExamples:
  $ hubwire twin update thermostat-1 '{"properties":{"desired":{"interval":5}}}'
  $ hubwire twin update thermostat-1 '{"tags":{"room":"kitchen"}}'
  $ hubwire twin update gateway-1 '{"properties":{"desired":{"level":"debug"}}}' --module logger`,
    )
    .action((deviceId: string, patch: string, options: UpdateOptions, command: Command) =>
      interruptible(async (signal) => {
        const context = contextOf(command);
        const body = parseJsonArgument("The patch", patch) as TwinPatch;
        const ref = refOf(deviceId, options);
        const { ifMatch } = options;
        const updated = await withService(context.target(), ({ twins }) =>
          options.replace === true
            ? twins.replace(ref, body, { ifMatch, signal })
            : twins.update(ref, body, { ifMatch, signal }),
        );
        context.output.line(
          `Updated: desired version ${updated.properties.desired.$version}, etag ${updated.etag}.`,
          updated,
        );
      }),
    );

  program
    .command("method <deviceId> <name> [payload]")
    .description("invoke a direct method and print the device's answer")
    .option("-m, --module <moduleId>", "of this module")
    .option("--timeout <seconds>", "how long the device may take", wholeNumber(5, 300), 30)
    .option(
      "--connect-timeout <seconds>",
      "how long to wait for the device to connect",
      wholeNumber(0, 300),
      0,
    )
    .addHelpText("after", `\nExample:\n  $ hubwire method thermostat-1 reboot '{"delay":5}'`)
    .action(
      (
        deviceId: string,
        name: string,
        payload: string | undefined,
        options: MethodOptions,
        command: Command,
      ) =>
        interruptible(async (signal) => {
          const context = contextOf(command);
          const answer = await withService(context.target(), ({ methods }) =>
            methods.invoke(
              refOf(deviceId, options),
              {
                name,
                payload: payload === undefined ? null : parseJsonArgument("The payload", payload),
                responseTimeoutS: options.timeout,
                connectTimeoutS: options.connectTimeout,
              },
              { signal },
            ),
          );
          context.output.line(`${answer.status} ${JSON.stringify(answer.payload)}`, answer);
        }),
    );
}

type UpdateOptions = OfModule & { ifMatch?: string; replace?: boolean };
type MethodOptions = OfModule & { timeout: number; connectTimeout: number };
