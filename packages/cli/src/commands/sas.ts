import { createHmac } from "node:crypto";
import { IotError, buildSasToken } from "@hubwire/protocol";
import type { Command } from "commander";
import { wholeNumber } from "../arguments.ts";
import { contextOf, withRest } from "../context.ts";
import { readDevice } from "./device.ts";

export function addSasCommand(program: Command): void {
  program
    .command("sas [deviceId]")
    .description("print a SAS token: a device's MQTT password, or the policy's without a device id")
    .option("--lifetime <seconds>", "how long it is valid", wholeNumber(1, 31_536_000), 3600)
    .addHelpText(
      "after",
      `\nExample:
  $ mosquitto_pub --cafile .hubwire/ca.pem -h localhost -p 8883 -i thermostat-1 \\
      -u 'localhost/thermostat-1/?api-version=2021-04-12' -P "$(hubwire sas thermostat-1)" \\
      -q 1 -t devices/thermostat-1/messages/events/ -m '{"temperature":21.5}'`,
    )
    .action(
      async (deviceId: string | undefined, options: { lifetime: number }, command: Command) => {
        const context = contextOf(command);
        const target = context.target();
        let key = target.key;
        let resource = target.hostName;
        if (deviceId !== undefined) {
          const found = await withRest(context, (client) => readDevice(client, deviceId));
          const deviceKey = found.authentication.symmetricKey?.primaryKey;
          if (deviceKey === undefined || deviceKey === null || deviceKey === "") {
            throw new IotError(
              "cli.usage",
              `${deviceId} authenticates with ${found.authentication.type}; it has no key to sign with.`,
            );
          }
          key = deviceKey;
          resource = `${target.hostName}/devices/${deviceId}`;
        }
        const expiresAtS = Math.floor(Date.now() / 1000) + options.lifetime;
        const sign = (text: string): Promise<string> =>
          Promise.resolve(
            createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64"),
          );
        const token = await buildSasToken(
          {
            resource,
            expiresAtS,
            ...(deviceId === undefined ? { policyName: target.policyName } : {}),
          },
          sign,
        );
        context.output.line(token, {
          token,
          resource,
          expiresAt: new Date(expiresAtS * 1000).toISOString(),
        });
      },
    );
}
