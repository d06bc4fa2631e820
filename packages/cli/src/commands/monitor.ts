import { IotError } from "@hubwire/protocol";
import { Option, type Command } from "commander";
import { wholeNumber } from "../arguments.ts";
import { contextOf, withRest } from "../context.ts";
import { interruptible } from "../interrupt.ts";
import { shown } from "../output.ts";

type MonitorOptions = { device?: string; from: string; count?: number; follow: boolean };

export function addMonitorCommand(program: Command): void {
  program
    .command("monitor")
    .description("print telemetry as it arrives, until Ctrl-C")
    .option("-d, --device <deviceId>", "only this device")
    .addOption(
      new Option("--from <start>", "where to begin").choices(["first", "end"]).default("end"),
    )
    .option("-n, --count <n>", "stop after that many", wholeNumber(1, 1_000_000_000))
    .option("--no-follow", "stop at the newest instead of waiting for more")
    .addHelpText(
      "after",
      `\nExamples:
  $ hubwire monitor
  $ hubwire monitor --from first --device thermostat-1 --no-follow`,
    )
    .action((options: MonitorOptions, command: Command) =>
      interruptible(async (signal) => {
        const context = contextOf(command);
        const { device, from, count, follow } = options;
        const target = context.target();
        if (follow) context.output.note("Waiting for telemetry. Ctrl-C ends.");
        let printed = 0;
        await withRest(target, async (client) => {
          const query = { from, follow: String(follow) };
          const events = client.lines({ method: "GET", path: "/hubwire/events", query, signal });
          for await (const event of events) {
            if (device !== undefined && event["deviceId"] !== device) continue;
            context.output.line(describeEvent(event as EventLine), event);
            printed += 1;
            if (printed === count) return;
          }
          if (follow && !signal.aborted) {
            throw new IotError("hub.stopping", "The hub ended the stream of telemetry: it stops.");
          }
        });
      }),
    );
}

/** What the command reads of a line of the hub's event stream. */
type EventLine = {
  enqueuedTimeUtc: string;
  deviceId: string;
  moduleId?: string;
  properties: Record<string, string>;
  body?: unknown;
  bodyBase64?: string;
};

/** `2026-01-01T00:00:00.000Z thermostat-1 alert=false {"temperature":21.5}` */
function describeEvent(event: EventLine): string {
  const { body, bodyBase64, enqueuedTimeUtc, deviceId, moduleId } = event;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return [
    enqueuedTimeUtc,
    moduleId === undefined ? deviceId : `${deviceId}/${moduleId}`,
    ...Object.entries(event.properties).map(([name, value]) => shown(`${name}=${value}`)),
    body === undefined ? `(base64) ${bodyBase64 ?? ""}` : shown(text),
  ].join(" ");
}
