/**
 * `npm start`: a hub on this machine, a device talking to it, and what to paste next.
 *
 *   --once   the round, every flow checked, exit 0 or 1
 *   --json   one JSON object a line
 *   --data   where the hub keeps its data (default .hubwire)
 *
 * With IOTHUB_DEVICE_CONNECTION_STRING set, the device connects there (the real Azure) and no hub is started.
 */
import { parseArgs } from "node:util";
import { IotError } from "@hubwire/protocol";
import { buildPackages } from "./demo/build.ts";
import { roundAgainstAzure, roundAgainstLocalHub } from "./demo/flows.ts";
import { printNextSteps } from "./demo/next-steps.ts";
import { createReport } from "./demo/report.ts";
import { startLocalHub } from "./demo/local-hub.ts";

const usage = `usage: npm start [-- --once] [--json] [--data <directory>]

  --once   run the round, check every flow, exit 0 or 1
  --json   one JSON object a line
  --data   where the hub keeps its data (default .hubwire)

With IOTHUB_DEVICE_CONNECTION_STRING set, the device connects there and no hub is started.
`;

function readOptions(): { once: boolean; json: boolean; data: string } {
  try {
    const { values } = parseArgs({
      options: {
        once: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        data: { type: "string", default: ".hubwire" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) {
      process.stdout.write(usage);
      process.exit(0);
    }
    return values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exit(2);
  }
}

/** Resolves at the first Ctrl-C; the second one leaves at once. */
function untilInterrupted(): { promise: Promise<void>; signal: AbortSignal } {
  const controller = new AbortController();
  let asked = 0;
  const promise = new Promise<void>((resolve) => {
    const onSignal = (): void => {
      asked += 1;
      if (asked > 1) process.exit(130);
      controller.abort();
      resolve();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
  return { promise, signal: controller.signal };
}

async function main(): Promise<number> {
  const options = readOptions();
  const report = createReport(options.json);
  const interrupted = untilInterrupted();
  const azure = process.env["IOTHUB_DEVICE_CONNECTION_STRING"];
  try {
    if (azure !== undefined && azure !== "") {
      await roundAgainstAzure(azure, report, interrupted.signal);
      return report.failed ? 1 : 0;
    }
    buildPackages(report);
    await using hub = await startLocalHub(options.data, report);
    await roundAgainstLocalHub(hub, report, interrupted.signal);
    if (options.once) {
      report.summary();
      return report.failed ? 1 : 0;
    }
    await printNextSteps(hub, options.data, report);
    await interrupted.promise;
    report.note("\nStopping: finishing accepted work. Ctrl-C again leaves at once.");
    return report.failed ? 1 : 0;
  } catch (error) {
    if (interrupted.signal.aborted) return 130;
    report.error(error instanceof IotError ? error : undefined, error);
    return 1;
  }
}

process.exitCode = await main();
