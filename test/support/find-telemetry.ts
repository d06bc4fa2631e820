import type { Hub } from "@hubwire/hub";
import { setTimeout as sleep } from "node:timers/promises";

type Telemetry = Hub["telemetry"];
export type StoredEvent = Awaited<ReturnType<Telemetry["read"]>>[number];

/** Every event in the hub's log, partition by partition. */
export async function readAllTelemetry(telemetry: Telemetry): Promise<StoredEvent[]> {
  const all: StoredEvent[] = [];
  for (let partition = 0; partition < telemetry.partitionCount; partition += 1) {
    let next = telemetry.partition(partition).firstSequenceNumber;
    for (;;) {
      const events = await telemetry.read(
        partition,
        { sequenceNumber: next },
        { recordsMax: 1000, bytesMax: 4 << 20 },
      );
      const last = events.at(-1);
      if (last === undefined) break;
      all.push(...events);
      next = last.sequenceNumber + 1;
    }
  }
  return all;
}

/** Waits for the one event a test is after: a QoS 0 message may take a moment. */
export async function findTelemetry(
  telemetry: Telemetry,
  wanted: (event: StoredEvent) => boolean,
): Promise<StoredEvent> {
  for (let attempt = 0; attempt < 250; attempt += 1) {
    const found = (await readAllTelemetry(telemetry)).find(wanted);
    if (found !== undefined) return found;
    await sleep(20);
  }
  throw new Error("the event is not in the hub's log");
}
