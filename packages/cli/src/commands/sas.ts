import { IotError, buildSasToken } from "@hubwire/protocol";
import { signWithKey } from "@hubwire/service";
import type { Command } from "commander";
import { wholeNumber } from "../arguments.ts";
import { contextOf, withService, type Context } from "../context.ts";
import { keyOf } from "./device.ts";

type Signed = { resource: string; key: string; policyName?: string };

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
        const { resource, key, policyName } = await whatToSign(context, deviceId);
        const expiresAtS = Math.floor(Date.now() / 1000) + options.lifetime;
        const scope = { resource, expiresAtS, ...(policyName === undefined ? {} : { policyName }) };
        const token = await buildSasToken(scope, signWithKey(key));
        const expiresAt = new Date(expiresAtS * 1000).toISOString();
        context.output.line(token, { token, resource, expiresAt });
      },
    );
}

async function whatToSign(context: Context, deviceId: string | undefined): Promise<Signed> {
  const target = context.target();
  const { hostName, key, policyName } = target;
  if (deviceId === undefined) return { resource: hostName, key, policyName };
  const found = await withService(target, ({ identities }) => identities.get(deviceId));
  const deviceKey = keyOf(found);
  if (deviceKey === undefined) {
    throw new IotError(
      "cli.usage",
      `${deviceId} authenticates with a certificate (${found.authentication.type}): it has no key to sign with and needs no token.`,
    );
  }
  return { resource: `${hostName}/devices/${deviceId}`, key: deviceKey };
}
