/** Programs of other people, as TypeScript must take them. */

export const deviceProgram = `
import { connect, IotError, type DeviceClient, type DeviceStatus } from "@hubwire/device";
import { makeCertificateRequest, type RenewedCertificate } from "@hubwire/device/certificates";
import { sealedFile, type SecretSource } from "@hubwire/device/secrets";
import { fakeHub, type FakeHub } from "@hubwire/device/testing";
import { parseDeviceConnectionString } from "@hubwire/protocol";
import { systemClock } from "@hubwire/transport";

export async function inATest(certificate: RenewedCertificate): Promise<string> {
  const hub: FakeHub = fakeHub();
  await using client = await connect(hub.connectOptions("d"));
  await client.enqueue("x", { priority: "high", ttlMs: 1000 });
  const source: SecretSource = sealedFile("a.sealed", "passphrase");
  const { csr } = await makeCertificateRequest(source.name);
  // @ts-expect-error there is no such priority
  await client.enqueue("x", { priority: "highest" });
  return certificate.key + csr;
}

export async function main(connectionString: string): Promise<number> {
  await using client: DeviceClient = await connect({ connectionString, onStatus: (status: DeviceStatus) => void status.state });
  try {
    await client.sendTelemetry({ temperature: 21.5 }, { properties: { alarm: "no" } });
  } catch (error) {
    if (error instanceof IotError && error.code === "device.queue_full") return 1;
    throw error;
  }
  for await (const message of client.messages()) await message.complete();
  const twin = await client.getTwin();
  // @ts-expect-error a body has to be given
  await client.sendTelemetry();
  // @ts-expect-error a C2D message cannot be rejected over MQTT
  for await (const message of client.messages()) message.reject();
  return twin.desiredVersion + systemClock().nowMs() + parseDeviceConnectionString(connectionString).deviceId.length;
}
`;

export const logProgram = `
import { Log, LogError } from "@hubwire/log";

export async function main(): Promise<number> {
  await using log = await Log.open({ directory: "outbox", segmentBytes: 1024 * 1024 });
  try {
    return log.append(0, new Uint8Array(0), new Uint8Array(5), 0, 5);
  } catch (error) {
    return error instanceof LogError && error.retryable ? 0 : -1;
  }
}
`;

export const hubProgram = `
import { startHub, type Hub } from "@hubwire/hub";

export async function main(): Promise<string> {
  await using hub: Hub = await startHub({ partitions: 2 });
  // @ts-expect-error there is no such option
  await startHub({ partition: 2 });
  return hub.connectionString();
}
`;
