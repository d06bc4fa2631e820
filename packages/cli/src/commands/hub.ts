import { formatServiceConnectionString } from "@hubwire/protocol";
import type { Command } from "commander";
import { contextOf, withService } from "../context.ts";
import { connectionStringFor } from "./device.ts";
import { addHubEnv } from "./hub-env.ts";
import { addHubReset } from "./hub-reset.ts";
import { addHubStart } from "./hub-start.ts";

export function addHubCommands(program: Command): void {
  const hub = program.command("hub").description("run a hub on this machine");

  addHubStart(hub);

  hub
    .command("connection-string")
    .description("the service connection string, or a device's")
    .option("-d, --device <deviceId>", "the connection string of this device")
    .addHelpText("after", "\nExample:\n  $ hubwire hub connection-string --device thermostat-1")
    .action(async ({ device }: { device?: string }, command: Command) => {
      const context = contextOf(command);
      const target = context.target();
      const { hostName, httpsPort, policyName, key, caFile } = target;
      const connectionString =
        device === undefined
          ? formatServiceConnectionString({
              hostName: httpsPort === 443 ? hostName : `${hostName}:${httpsPort}`,
              sharedAccessKeyName: policyName,
              sharedAccessKey: key,
            })
          : connectionStringFor(
              target,
              await withService(target, ({ identities }) => identities.get(device)),
            );
      context.output.line(connectionString, { connectionString, caFile: caFile ?? null });
    });

  addHubEnv(hub);
  addHubReset(hub);
}
