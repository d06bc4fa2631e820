import type { FeedbackRecord } from "@hubwire/service";
import type { Command } from "commander";
import { wholeNumber } from "../arguments.ts";
import { contextOf, withAmqp } from "../context.ts";
import { interruptible } from "../interrupt.ts";
import { shown } from "../output.ts";

type FeedbackOptions = { device?: string; count?: number; keep?: boolean };

export function addFeedbackCommand(program: Command): void {
  program
    .command("feedback")
    .description("print what became of cloud-to-device messages, until Ctrl-C")
    .option("-d, --device <deviceId>", "print only of this device; the rest is taken all the same")
    .option("-n, --count <n>", "stop after that many", wholeNumber(1, 1_000_000_000))
    .option("--keep", "give every batch back, so that it comes again to whoever asks next")
    .addHelpText(
      "after",
      `
Only messages sent with --ack have feedback. The hub collects it into batches, every 15 seconds.
What is printed is taken: nobody else gets it, unless --keep is given.

Examples:
  $ hubwire feedback
  $ hubwire feedback --device thermostat-1 --count 1 --json`,
    )
    .action((options: FeedbackOptions, command: Command) =>
      interruptible(async (signal) => {
        const { output, target } = contextOf(command);
        const { device, count = Infinity, keep = false } = options;
        const hub = target();
        output.note("Waiting for feedback. Ctrl-C ends.");
        let printed = 0;
        await withAmqp(hub, async (client) => {
          const batches = client.feedback({
            signal,
            onReconnecting: (error, delayMs) =>
              output.note(`${error.message}. Trying again in ${delayMs / 1000} s.`),
          });
          for await (const batch of batches) {
            for (const record of batch.records) {
              if (device !== undefined && record.deviceId !== device) continue;
              output.line(describe(record), record);
              printed += 1;
            }
            // With --keep it is given back when the link ends: at once, it would come in a circle.
            if (!keep) batch.complete();
            if (printed >= count) return;
          }
        });
      }),
    );
}

/** `2026-01-01T00:00:00.000Z thermostat-1 Success m1` */
const describe = (record: FeedbackRecord): string =>
  [record.enqueuedTimeUtc, record.deviceId, record.statusCode, record.originalMessageId]
    .map((text) => shown(String(text)))
    .join(" ");
