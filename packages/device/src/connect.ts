import { DeviceClient, openClient } from "./client.ts";
import { readSecret } from "./credentials/secret.ts";
import type { ConnectOptions } from "./options/options.ts";
import type { MessageStore } from "./outbox/store.ts";
import { resolveOptions } from "./options/resolve.ts";
import type { Settings } from "./options/settings.ts";

/**
 * Connects a device to an IoT Hub over MQTT 3.1.1 and TLS.
 *
 *     await using client = await connect({ connectionString });
 *     await client.sendTelemetry({ temperature: 21.5 });
 *
 * Resolves once connected. Rejects at `connectTimeoutMs`; earlier at a failure that does not heal by itself, unless
 * `failFast: false`; at once when the options are wrong. With `waitForConnection: false` it resolves at once and connects in
 * the background.
 * @throws IotError `argument.invalid`, `connection_string.*`, `sas.*`, `device.refused_*`, `device.connect_timeout`,
 *   `device.token_*`, `device.certificate_*`, `secret.*`, `transport.*`, `provisioning.*`, `call.aborted`, and with a
 *   durable outbox `device.outbox_*`
 */
export async function connect(options: ConnectOptions): Promise<DeviceClient> {
  const { connectionString } = options;
  const ready =
    typeof connectionString === "object" && connectionString !== null
      ? { ...options, connectionString: await readSecret(connectionString) }
      : options;
  const settings = await settingsOf(ready);
  const store = await storeOf(settings);
  try {
    return await openClient(new DeviceClient(settings, ready, store), options.signal);
  } catch (error) {
    // The directory is free again when the caller hears of it.
    await store?.close();
    throw error;
  }
}

/** The durable outbox is opened first: what it cannot keep is never accepted. */
async function storeOf(settings: Settings): Promise<MessageStore | undefined> {
  const { durable } = settings.outbox;
  if (durable === undefined) return undefined;
  const { clock, random } = settings;
  const { openOutbox } = await import("./outbox/open.ts");
  return openOutbox({ ...durable, clock, random });
}

async function settingsOf(options: ConnectOptions): Promise<Settings> {
  if (options.provisioning === undefined) return resolveOptions(options);
  const { resolveProvisioned } = await import("./provisioning/resolve-provisioning.ts");
  return resolveProvisioned(options);
}
