import type { Command } from "commander";
import { collectProperty, wholeNumber } from "../arguments.ts";
import { contextOf, withRest } from "../context.ts";

const TWO_DAYS_S = 172_800;

type C2dOptions = {
  property: Record<string, string>;
  messageId?: string;
  contentType?: string;
  expiresIn?: number;
};

export function addC2dCommands(program: Command): void {
  const c2d = program.command("c2d").description("cloud-to-device messages");
  c2d
    .command("send <deviceId> <body>")
    .description("queue a cloud-to-device message")
    .option("-p, --property <name=value>", "application property, repeatable", collectProperty, {})
    .option("--message-id <id>", "message id")
    .option("--content-type <type>", "for example application/json")
    .option("--expires-in <seconds>", "time to live (default an hour)", wholeNumber(1, TWO_DAYS_S))
    .addHelpText("after", "\nExample:\n  $ hubwire c2d send thermostat-1 'open the window'")
    .action(async (deviceId: string, body: string, options: C2dOptions, command: Command) => {
      const context = contextOf(command);
      const { property, messageId, contentType, expiresIn } = options;
      const expiryTimeUtc =
        expiresIn === undefined ? undefined : new Date(Date.now() + expiresIn * 1000).toISOString();
      const sent = (await withRest(context.target(), (client) =>
        client.call({
          method: "POST",
          path: `/hubwire/devices/${encodeURIComponent(deviceId)}/messages`,
          // What is undefined is not in the JSON.
          body: { body, properties: property, messageId, contentType, expiryTimeUtc },
        }),
      )) as { messageId: string };
      context.output.line(`Queued for ${deviceId} as message ${sent.messageId}.`, sent);
    });
}
