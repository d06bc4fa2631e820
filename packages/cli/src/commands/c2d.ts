import { Option, type Command } from "commander";
import { collectProperty, wholeNumber } from "../arguments.ts";
import { contextOf, withAmqp, withService } from "../context.ts";
import { interruptible } from "../interrupt.ts";

const TWO_DAYS_S = 172_800;
const acks = ["none", "positive", "negative", "full"] as const;

type C2dOptions = {
  property: Record<string, string>;
  messageId?: string;
  correlationId?: string;
  contentType?: string;
  expiresIn?: number;
  ack?: (typeof acks)[number];
};

export function addC2dCommands(program: Command): void {
  const c2d = program.command("c2d").description("cloud-to-device messages");
  c2d
    .command("send <deviceId> <body>")
    .description("queue a cloud-to-device message")
    .option("-p, --property <name=value>", "application property, repeatable", collectProperty, {})
    .option("--message-id <id>", "message id (default: a random one)")
    .option("--correlation-id <id>", "correlation id")
    .option("--content-type <type>", "for example application/json")
    .option("--expires-in <seconds>", "time to live (default an hour)", wholeNumber(1, TWO_DAYS_S))
    .addOption(new Option("--ack <outcomes>", "which outcomes come back as feedback").choices(acks))
    .addHelpText(
      "after",
      `\nExamples:
  $ hubwire c2d send thermostat-1 'open the window'
  $ hubwire c2d send thermostat-1 'open the window' --ack full --message-id m1`,
    )
    .action((deviceId: string, body: string, options: C2dOptions, command: Command) =>
      interruptible(async (signal) => {
        const context = contextOf(command);
        const { property, messageId, correlationId, contentType, expiresIn, ack } = options;
        const sent = await withAmqp(context.target(), (client) =>
          client.sendToDevice(
            deviceId,
            {
              body,
              properties: property,
              ...(messageId === undefined ? {} : { messageId }),
              ...(correlationId === undefined ? {} : { correlationId }),
              ...(contentType === undefined ? {} : { contentType }),
              ...(ack === undefined ? {} : { ack }),
              ...(expiresIn === undefined
                ? {}
                : { expiresAt: new Date(Date.now() + expiresIn * 1000) }),
            },
            { signal },
          ),
        );
        context.output.line(`Queued for ${deviceId} as message ${sent.messageId}.`, sent);
      }),
    );

  c2d
    .command("purge <deviceId>")
    .description("drop every message that waits for a device")
    .addHelpText("after", "\nExample:\n  $ hubwire c2d purge thermostat-1")
    .action((deviceId: string, _options: object, command: Command) =>
      interruptible(async (signal) => {
        const context = contextOf(command);
        const purged = await withService(context.target(), (client) =>
          client.c2d.purge(deviceId, { signal }),
        );
        context.output.line(`Dropped ${purged.totalMessagesPurged}.`, purged);
      }),
    );
}
