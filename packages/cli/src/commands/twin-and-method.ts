import type { Command } from "commander";
import { parseJsonArgument, wholeNumber } from "../arguments.ts";
import { contextOf, withRest } from "../context.ts";

const twinPath = (deviceId: string): string => `/twins/${encodeURIComponent(deviceId)}`;

export function addTwinAndMethodCommands(program: Command): void {
  const twin = program.command("twin").description("device twins");

  twin
    .command("get <deviceId>")
    .description("print the whole twin")
    .addHelpText("after", "\nExample:\n  $ hubwire twin get thermostat-1")
    .action(async (deviceId: string, _options: object, command: Command) => {
      const context = contextOf(command);
      const found = (await withRest(context.target(), (client) =>
        client.call({ method: "GET", path: twinPath(deviceId) }),
      )) as object;
      context.output.line(JSON.stringify(found, null, 2), found);
    });

  twin
    .command("update <deviceId> <patch>")
    .description("merge a patch into tags and desired properties")
    .option("--if-match <etag>", "only if the twin still has this etag")
    .option("--replace", "replace the sections instead of merging into them")
    .addHelpText(
      "after",
      `\nExamples:
  $ hubwire twin update thermostat-1 '{"properties":{"desired":{"interval":5}}}'
  $ hubwire twin update thermostat-1 '{"tags":{"room":"kitchen"}}'`,
    )
    .action(
      async (
        deviceId: string,
        patch: string,
        options: { ifMatch?: string; replace?: boolean },
        command: Command,
      ) => {
        const context = contextOf(command);
        const body = parseJsonArgument("The patch", patch);
        const updated = (await withRest(context.target(), (client) =>
          client.call({
            method: options.replace === true ? "PUT" : "PATCH",
            path: twinPath(deviceId),
            body,
            ...(options.ifMatch === undefined ? {} : { ifMatch: `"${options.ifMatch}"` }),
          }),
        )) as { etag: string; properties: { desired: { $version: number } } };
        context.output.line(
          `Updated: desired version ${updated.properties.desired.$version}, etag ${updated.etag}.`,
          updated,
        );
      },
    );

  program
    .command("method <deviceId> <name> [payload]")
    .description("invoke a direct method and print the device's answer")
    .option("--timeout <seconds>", "how long the device may take", wholeNumber(5, 300), 30)
    .option(
      "--connect-timeout <seconds>",
      "how long to wait for the device to connect",
      wholeNumber(0, 300),
      0,
    )
    .addHelpText("after", `\nExample:\n  $ hubwire method thermostat-1 reboot '{"delay":5}'`)
    .action(
      async (
        deviceId: string,
        name: string,
        payload: string | undefined,
        options: { timeout: number; connectTimeout: number },
        command: Command,
      ) => {
        const context = contextOf(command);
        const value = payload === undefined ? null : parseJsonArgument("The payload", payload);
        const answer = (await withRest(context.target(), (client) =>
          client.call({
            method: "POST",
            path: `${twinPath(deviceId)}/methods`,
            body: {
              methodName: name,
              payload: value,
              responseTimeoutInSeconds: options.timeout,
              connectTimeoutInSeconds: options.connectTimeout,
            },
            // The hub answers within both; the margin is for the way.
            timeoutMs: (options.timeout + options.connectTimeout + 10) * 1000,
          }),
        )) as { status: number; payload: unknown };
        context.output.line(`${answer.status} ${JSON.stringify(answer.payload)}`, answer);
      },
    );
}
