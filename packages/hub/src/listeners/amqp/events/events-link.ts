import { IotError } from "@hubwire/protocol";
import type { TelemetryRecord, TelemetryStart } from "../../../domain/ports.ts";
import type { LinkHost, LinkService } from "../link.ts";
import { transferHeadBytes } from "../outgoing.ts";
import type { RheaSender } from "../rhea.ts";
import { EventEncoder } from "./event-encoder.ts";
import { runtimeMetrics } from "./runtime-metrics.ts";
import { selectorOf, startPosition } from "./start-position.ts";

/** AMQP 1.0 §2.8.2: the peer settles later. */
const sendUnsettled = 0;

type Place = { group: string; partition: string; path: string };

/**
 * One reader of one partition: a view on the log. It reads a batch when there is credit, window and room on the socket, and
 * at most one batch is in memory; a reader that does not read costs nobody anything.
 */
export function eventsLink(host: LinkHost, link: RheaSender, place: Place): LinkService {
  const { parts, grants } = host;
  const { log, limits, waiters, clock } = parts;
  const need = { kind: "entity", path: place.path.split("/") } as const;
  grants.require(need);
  const group = parts.consumerGroups.find(place.group);
  if (group === undefined) {
    throw new IotError(
      "events.consumer_group_unknown",
      // The official readers know it by these words, not by the condition.
      `The messaging entity '${place.path}' could not be found`,
    );
  }
  const partition = partitionOf(place.partition, log.partitionCount);
  const remote = link.remote.attach!;
  let from: TelemetryStart = startPosition(
    selectorOf(remote.source?.filter),
    log.partition(partition),
  );
  const metricsWanted = wants(
    remote.desired_capabilities,
    "com.microsoft:enable-receiver-runtime-metric",
  );
  const isSettled = remote.snd_settle_mode !== sendUnsettled;
  const encoder = new EventEncoder();
  const outgoing = host.outgoing(link);
  let isOpen = true;
  let isReading = false;
  let isDraining = false;
  /** Read and not sent yet. */
  let held: TelemetryRecord[] = [];

  const leave = parts.readers.enter(group.name, partition, {
    epoch: epochOf(remote.properties?.["com.microsoft:epoch"]),
    steal: (error) => host.detach(link, error),
    end: (error) => host.detach(link, error),
  });

  const room = (): number => Math.min(link.credit, outgoing.windowFree);

  const pump = (): void => {
    if (isReading || !isOpen || link.credit <= 0) return;
    isReading = true;
    void fill()
      .catch((error: unknown) => {
        if (isOpen) host.detach(link, error);
      })
      .finally(() => {
        isReading = false;
      });
  };

  const fill = async (): Promise<void> => {
    while (isOpen && room() > 0 && host.socket.writable) {
      if (held.length === 0) {
        const info = log.partition(partition);
        if (typeof from === "object" && "sequenceNumber" in from) {
          if (from.sequenceNumber >= info.nextSequenceNumber) return waitFor(from.sequenceNumber);
        }
        held = await log.read(partition, from, {
          recordsMax: Math.min(room(), limits.eventsBatchMax),
          bytesMax: limits.eventsBatchBytesMax,
        });
        if (!isOpen) return;
        if (held.length === 0) return waitFor(info.nextSequenceNumber);
      }
      send();
    }
  };

  const waitFor = (sequenceNumber: number): void => {
    if (isDraining) giveBackCredit();
    // Something may have come while the log was read.
    if (log.partition(partition).nextSequenceNumber > sequenceNumber) clock.endOfTurn(pump);
    else waiters.wait(partition, sequenceNumber, pump);
  };

  /** Encodes as many events as may go, all into one buffer. */
  const send = (): void => {
    const count = Math.min(room(), held.length);
    const metrics = metricsWanted
      ? runtimeMetrics(log.partition(partition), clock.wallMs())
      : undefined;
    const metricsBytes = metrics?.length ?? 0;
    let bytesMax = 0;
    for (let i = 0; i < count; i++) {
      bytesMax += encoder.bytesMax(held[i]!) + metricsBytes + transferHeadBytes;
    }
    const buffer = Buffer.allocUnsafeSlow(bytesMax);
    let at = 0;
    let sent = 0;
    for (; sent < count && isOpen; sent++) {
      const start = at + transferHeadBytes;
      if (metrics !== undefined) metrics.copy(buffer, start);
      const end = encoder.write(buffer, start + metricsBytes, held[sent]!);
      if (outgoing.fitsOneFrame(end - start)) {
        outgoing.headInPlace(buffer, at, end, link, isSettled);
        at = end;
        continue;
      }
      // Larger than the peer's frames: what is before it goes first.
      if (outgoing.framesFor(end - start) > outgoing.windowFree) break;
      if (at > 0) outgoing.write(Buffer.from(buffer.subarray(0, at)));
      outgoing.writeMessage(link, Buffer.from(buffer.subarray(start, end)), isSettled);
      at = 0;
    }
    if (at > 0) outgoing.write(buffer.subarray(0, at));
    const last = held[sent - 1];
    if (last !== undefined) from = { sequenceNumber: last.sequenceNumber + 1 };
    held = sent === held.length ? [] : held.slice(sent);
  };

  /** The peer asked for what there is, and takes back the rest of its credit. */
  const giveBackCredit = (): void => {
    isDraining = false;
    link.delivery_count = (link.delivery_count + link.credit) >>> 0;
    link.credit = 0;
    link._get_drain = () => true;
    link.session._write_flow(link);
    link._get_drain = () => false;
  };

  return {
    need,
    onRoom: pump,
    onDrain() {
      isDraining = true;
      if (isReading) return;
      waiters.forget(partition, pump);
      pump();
    },
    dispose() {
      isOpen = false;
      held = [];
      waiters.forget(partition, pump);
      leave();
    },
  };
}

function partitionOf(text: string, count: number): number {
  const index = /^\d{1,4}$/.test(text) ? Number(text) : -1;
  if (index >= 0 && index < count && String(index) === text) return index;
  throw new IotError("amqp.out_of_range", `The partitions are 0 to ${count - 1}`);
}

/** Owner levels are 64-bit; SDKs take numbers, so rhea's are exact, or bytes when they are too large. */
function epochOf(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  const epoch = Buffer.isBuffer(value) ? Number(value.readBigInt64BE(0)) : Number(value);
  if (Number.isFinite(epoch) && epoch >= 0) return epoch;
  throw new IotError("argument.invalid", "The owner level (epoch) is a number from 0");
}

const wants = (capabilities: string | string[] | undefined, wanted: string): boolean =>
  Array.isArray(capabilities) ? capabilities.includes(wanted) : capabilities === wanted;
