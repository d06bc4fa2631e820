import { connect, type DeviceClient } from "@hubwire/device";
import type { Hub } from "@hubwire/hub";
import { setTimeout as sleep } from "node:timers/promises";
import type { Flow, Report } from "./report.ts";

const deviceId = "demo-device";
const CALL_TIMEOUT_MS = 10_000;

/** Runs one flow, times it, reports it; a failed flow does not stop the others. */
async function run(report: Report, name: Flow, work: () => Promise<string>): Promise<void> {
  const startedMs = performance.now();
  try {
    const detail = await work();
    report.flow(name, detail, Math.round(performance.now() - startedMs));
  } catch (error) {
    report.flowFailed(name, error);
  }
}

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

const deadline = (signal: AbortSignal): AbortSignal =>
  AbortSignal.any([signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]);

/** The first value that satisfies `wanted`. */
async function first<T>(values: AsyncIterable<T>, wanted: (value: T) => boolean): Promise<T> {
  for await (const value of values) if (wanted(value)) return value;
  throw new Error("the stream ended early");
}

export async function roundAgainstLocalHub(
  hub: Hub,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const known = await hub.identities.find({ deviceId, moduleId: undefined });
  if (known === undefined) await hub.createDevice({ deviceId });
  const connectionString = await hub.deviceConnectionString(deviceId);
  const limits = { signal, timeoutMs: CALL_TIMEOUT_MS };
  let device: DeviceClient | undefined;
  await run(report, "connect", async () => {
    device = await connect({
      connectionString,
      ca: hub.caPem,
      connectTimeoutMs: CALL_TIMEOUT_MS,
      signal,
    });
    return `${deviceId} is connected: TLS, SAS token, MQTT 3.1.1`;
  });
  if (device === undefined) return;
  await using client = device;
  const marker = `${Date.now()}`;

  await run(report, "telemetry", async () => {
    const body = { temperature: 21.5 };
    await client.sendTelemetry(body, {
      properties: { marker },
      contentType: "application/json",
      contentEncoding: "utf-8",
      ...limits,
    });
    const event = await findEvent(hub, marker);
    check(new TextDecoder().decode(event.body) === JSON.stringify(body), "the stored body differs");
    return `sent ${JSON.stringify(body)}; stored in partition ${event.partition} as sequence ${event.sequenceNumber}`;
  });

  await run(report, "C2D", async () => {
    const messages = client.messages({ signal: deadline(signal) });
    const { messageId } = await hub.sendToDevice(deviceId, "open the window");
    const message = await first(messages, (candidate) => candidate.messageId === messageId);
    check(message.text() === "open the window", "the received body differs");
    await message.complete();
    return `received "${message.text()}" and completed it`;
  });

  await run(report, "method", async () => {
    client.onMethod("reboot", (request) => ({
      status: 200,
      payload: { rebooting: request.payload },
    }));
    const answer = await hub.invokeMethod(
      deviceId,
      "reboot",
      { delay: 5 },
      { connectTimeoutS: 10 },
    );
    check(answer.status === 200, `the device answered ${answer.status}`);
    return `reboot({"delay":5}) answered ${answer.status} ${JSON.stringify(answer.payload)}`;
  });

  await run(report, "twin read", async () => {
    const twin = await client.getTwin(limits);
    return `desired version ${twin.desiredVersion}, reported version ${twin.reportedVersion}`;
  });

  await run(report, "reported", async () => {
    const { version } = await client.reportProperties({ firmware: "1.0.0", marker }, limits);
    const { twin } = await hub.twins.read({ deviceId, moduleId: undefined });
    const { reported } = twin["properties"] as { reported: Record<string, unknown> };
    check(reported["marker"] === marker, "the hub's twin differs");
    return `the hub's twin shows firmware 1.0.0, reported version ${version}`;
  });

  await run(report, "desired", async () => {
    const changes = client.desiredProperties({ signal: deadline(signal) });
    const iterator = changes[Symbol.asyncIterator]();
    await iterator.next();
    await hub.twins.patch(
      { deviceId, moduleId: undefined },
      { properties: { desired: { intervalS: 5, marker } } },
      undefined,
    );
    for (;;) {
      const next = await iterator.next();
      check(next.done !== true, "the stream ended early");
      if (next.value.desired["marker"] !== marker) continue;
      await iterator.return?.();
      return `the device got intervalS 5, desired version ${next.value.version}`;
    }
  });
}

async function findEvent(hub: Hub, marker: string) {
  const { telemetry } = hub;
  for (let attempt = 0; attempt < 100; attempt += 1) {
    for (let partition = 0; partition < telemetry.partitionCount; partition += 1) {
      const { nextSequenceNumber } = telemetry.partition(partition);
      const events = await telemetry.read(
        partition,
        { sequenceNumber: Math.max(0, nextSequenceNumber - 20) },
        { recordsMax: 20, bytesMax: 1 << 20 },
      );
      const found = events.find((event) => event.properties.application["marker"] === marker);
      if (found !== undefined) return found;
    }
    await sleep(20);
  }
  throw new Error("the acknowledged message is not in the hub's log");
}

/** Against a hub elsewhere only the device's side can be checked; the rest is shown when it happens. */
export async function roundAgainstAzure(
  connectionString: string,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const limits = { signal, timeoutMs: CALL_TIMEOUT_MS };
  let device: DeviceClient | undefined;
  await run(report, "connect", async () => {
    device = await connect({ connectionString, connectTimeoutMs: CALL_TIMEOUT_MS, signal });
    return "connected";
  });
  if (device === undefined) return;
  await using client = device;
  await run(report, "telemetry", async () => {
    await client.sendTelemetry({ temperature: 21.5 }, limits);
    return "sent and acknowledged";
  });
  await run(report, "twin read", async () => {
    const twin = await client.getTwin(limits);
    return `desired version ${twin.desiredVersion}, reported version ${twin.reportedVersion}`;
  });
  await run(report, "reported", async () => {
    const { version } = await client.reportProperties({ hubwire: "1.0.0" }, limits);
    return `accepted as reported version ${version}`;
  });
  report.note(
    "\n  C2D, methods and desired properties need somebody on the service side of that hub.",
  );
}
