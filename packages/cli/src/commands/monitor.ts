import type { DeviceEvent } from "@hubwire/service/amqp";
import { Option, type Command } from "commander";
import { collectProperty, wholeNumber } from "../arguments.ts";
import { contextOf, withAmqp } from "../context.ts";
import { describeEvent, eventJson, shownProperties, type ShownProperties } from "../event-line.ts";
import { interruptible } from "../interrupt.ts";
import { parseStart } from "../start-position.ts";

type MonitorOptions = {
  device?: string;
  module?: string;
  property: Record<string, string>;
  source: string;
  from: ReturnType<typeof parseStart>;
  partition?: string[];
  consumerGroup: string;
  properties: ShownProperties;
  count?: number;
  follow: boolean;
};

export function addMonitorCommand(program: Command): void {
  program
    .command("monitor")
    .description("print telemetry as it arrives, until Ctrl-C")
    .option("-d, --device <deviceId>", "only this device")
    .option("-m, --module <moduleId>", "only this module")
    .option(
      "-p, --property <name=value>",
      "only with this property, repeatable",
      collectProperty,
      {},
    )
    .option(
      "--source <name>",
      "Telemetry, another source such as twinChangeEvents, or all",
      "Telemetry",
    )
    .option(
      "--from <start>",
      "first, end, an age (10m), a time, seq:N or offset:N (default: end)",
      parseStart,
      "latest" as const,
    )
    .option("--partition <id...>", "only these partitions")
    .option("--consumer-group <name>", "read as this consumer group", "$Default")
    .addOption(
      new Option("--properties <which>", "which properties lines show; JSON has all")
        .choices(shownProperties)
        .default("app"),
    )
    .option("-n, --count <n>", "stop after that many", wholeNumber(1, 1_000_000_000))
    .option("--no-follow", "stop at the newest instead of waiting for more")
    .addHelpText(
      "after",
      `
A lost connection is made anew, and reading goes on where it was.
Events of an Azure hub are found by asking it, or by IOTHUB_EVENTHUBS_CONNECTION_STRING.

Examples:
  $ hubwire monitor
  $ hubwire monitor --from first --device thermostat-1 --no-follow
  $ hubwire monitor --from 10m -p alert=true --properties all
  $ hubwire monitor --from seq:120 --partition 0 --json`,
    )
    .action((options: MonitorOptions, command: Command) =>
      interruptible(async (signal) => {
        const { output, target } = contextOf(command);
        const { from, follow, consumerGroup, partition, properties, count } = options;
        const hub = target();
        if (follow) output.note("Waiting for telemetry. Ctrl-C ends.");
        let printed = 0;
        await withAmqp(hub, async (client) => {
          const events = client.events({
            start: from,
            follow,
            consumerGroup,
            signal,
            filter: wanted(options),
            ...(partition === undefined ? {} : { partitions: partition }),
            onReconnecting: (error, delayMs) =>
              output.note(`${error.message}. Trying again in ${delayMs / 1000} s.`),
          });
          for await (const event of events) {
            output.line(output.json ? "" : describeEvent(event, properties), eventJson(event));
            printed += 1;
            if (printed === count) return;
          }
        });
      }),
    );
}

const wanted =
  ({ device, module, property, source }: MonitorOptions) =>
  (event: DeviceEvent): boolean =>
    (device === undefined || event.deviceId === device) &&
    (module === undefined || event.moduleId === module) &&
    (source === "all" || event.messageSource?.toLowerCase() === source.toLowerCase()) &&
    Object.entries(property).every(([name, value]) => event.properties[name] === value);
