import { randomUUID } from "node:crypto";
import rhea from "rhea";
import type { EventContext, Receiver } from "rhea";
import { IotError } from "@hubwire/protocol";
import { startDeadline } from "../waiting.ts";
import type { Deadline } from "../waiting.ts";
import { AmqpConnection, errorOf } from "./connection.ts";
import { eventOf } from "./event.ts";
import type { DeviceEvent } from "./event.ts";
import { audienceOf, dialOf, eventHubsToken } from "./event-hubs.ts";
import type { EventHubsAddress } from "./event-hubs.ts";
import { Management } from "./management.ts";
import type { PartitionProperties } from "./management.ts";
import { selectorOf } from "./position.ts";
import type { EventStart } from "./position.ts";
import { Queue } from "./queue.ts";
import { readResiliently } from "./resilient.ts";
import type { ReconnectOptions, Source } from "./resilient.ts";

export type EventsOptions = ReconnectOptions & {
  /** Default `$Default`. */
  consumerGroup?: string;
  /** Ids of the partitions to read. Default all. */
  partitions?: readonly string[];
  /** For all partitions, or by partition id. Default `latest`. */
  start?: EventStart | Readonly<Record<string, EventStart>>;
  /** What of it is wanted; the rest is read and dropped. */
  filter?: (event: DeviceEvent) => boolean;
  /** False ends the reading at what was the newest when it began. Default true: it waits for more. */
  follow?: boolean;
  /** The epoch of an exclusive reader, which throws out readers with a lower one. */
  ownerLevel?: number;
  /** Ends the reading, quietly. */
  signal?: AbortSignal;
  /** To connect and to attach, each time. Default 30 s. */
  timeoutMs?: number;
};

/** Events a partition sends ahead of the consumer. */
const creditAhead = 300;
const timeoutMsDefault = 30_000;

type Taken = { event: DeviceEvent; receiver: Receiver };
/** What lasts from one connection to the next. */
type Progress = {
  partitions: readonly string[] | undefined;
  /** Sequence number of the last event that was handed on, by partition. */
  last: Map<string, number>;
  /** Where to stop, by partition; undefined: never. A partition that is done is not in it. */
  until: Map<string, number> | undefined;
};

/**
 * Events one by one as each partition has them, from all partitions at once. Lost connections are made anew, and reading goes
 * on behind the last event that was handed on. Leaving the loop closes everything.
 * @throws IotError at once what keeps the first connection from opening; `service.link_stolen`, `service.unknown_address`
 */
export async function* readEvents(
  address: EventHubsAddress,
  ca: readonly string[],
  options: EventsOptions,
  signal: AbortSignal,
): AsyncGenerator<DeviceEvent, void, undefined> {
  const progress: Progress = { partitions: options.partitions, last: new Map(), until: undefined };
  const open = (during: AbortSignal): Promise<Source<Taken | "done">> =>
    openSource(address, ca, options, progress, during);
  const granted = new Map<Receiver, number>();
  for await (const taken of readResiliently(open, signal, options)) {
    if (taken === "done") return;
    const { event, receiver } = taken;
    const { partitionId, sequenceNumber } = event;
    progress.last.set(partitionId, sequenceNumber);
    giveBack(receiver, granted);
    const untilNumber = progress.until?.get(partitionId);
    const isBehind = progress.until !== undefined && untilNumber === undefined;
    if (!isBehind && (options.filter === undefined || options.filter(event))) yield event;
    if (untilNumber !== undefined && sequenceNumber >= untilNumber) {
      progress.until?.delete(partitionId);
      if (progress.until?.size === 0) return;
    }
  }
}

/** Credit goes back in lots, so that not every event costs a frame. */
function giveBack(receiver: Receiver, granted: Map<Receiver, number>): void {
  const taken = (granted.get(receiver) ?? 0) + 1;
  if (taken < creditAhead / 3) {
    granted.set(receiver, taken);
    return;
  }
  granted.set(receiver, 0);
  if (!receiver.is_closed()) receiver.add_credit(taken);
}

async function openSource(
  address: EventHubsAddress,
  ca: readonly string[],
  options: EventsOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Source<Taken | "done">> {
  const timeoutMs = options.timeoutMs ?? timeoutMsDefault;
  const deadline = startDeadline("Opening the event stream", timeoutMs, signal);
  let connection: AmqpConnection | undefined;
  try {
    connection = await AmqpConnection.open(dialOf(address, ca), deadline);
    const management = new Management(connection, address);
    const ids = (progress.partitions ??= await management.partitionIds(deadline));
    if (options.follow === false) {
      progress.until ??= await endsOf(management, ids, options, deadline);
    }
    const queue = new Queue<Taken | "done">();
    if (progress.until?.size === 0) queue.push("done");
    connection.onLost((error) => queue.fail(error));
    const open = connection;
    await Promise.all(
      ids.map((id) => openPartition(open, address, id, options, progress, queue, deadline)),
    );
    return { next: () => queue.next(), close: () => open.close() };
  } catch (error) {
    await connection?.close();
    throw error;
  } finally {
    deadline.done();
  }
}

async function openPartition(
  connection: AmqpConnection,
  address: EventHubsAddress,
  partitionId: string,
  options: EventsOptions,
  progress: Progress,
  queue: Queue<Taken | "done">,
  deadline: Deadline,
): Promise<void> {
  const { consumerGroup = "$Default", ownerLevel } = options;
  const path = `ConsumerGroups/${consumerGroup}/Partitions/${partitionId}`;
  const audience = audienceOf(address, path);
  await connection.tokens.put(audience, () => eventHubsToken(address, audience), deadline);
  const name = randomUUID();
  const receiver = await connection.openReceiver(
    {
      name: `${address.entity}/${path}-${name}`,
      credit_window: 0,
      source: {
        address: `${address.entity}/${path}`,
        filter: {
          "apache.org:selector-filter:string": rhea.types.wrap_described(
            selectorOf(startOf(partitionId, options, progress)),
            0x468c00000004,
          ),
        },
      },
      target: { address: name },
      properties: {
        "com.microsoft:receiver-name": name,
        ...(ownerLevel === undefined
          ? {}
          : { "com.microsoft:epoch": rhea.types.wrap_long(ownerLevel) }),
      },
    },
    deadline,
  );
  const closed = (): void =>
    queue.fail(
      connection.refusal(`The hub closed the link to partition ${partitionId}`, errorOf(receiver)),
    );
  receiver
    .on("message", ({ message }: EventContext) => {
      if (message !== undefined) queue.push({ event: eventOf(partitionId, message), receiver });
    })
    .on("receiver_error", closed)
    .on("receiver_close", closed);
  receiver.add_credit(creditAhead);
}

/** Behind the last event that was handed on, else where the caller wants to begin. */
function startOf(
  partitionId: string,
  { start = "latest" }: EventsOptions,
  { last }: Progress,
): EventStart {
  const sequenceNumber = last.get(partitionId);
  if (sequenceNumber !== undefined) return { sequenceNumber, isInclusive: false };
  return wantedStart(partitionId, start);
}

function wantedStart(
  partitionId: string,
  start: EventStart | Readonly<Record<string, EventStart>>,
): EventStart {
  if (typeof start === "string") return start;
  if ("sequenceNumber" in start || "offset" in start || "enqueuedTime" in start) {
    return start as EventStart;
  }
  return (start as Readonly<Record<string, EventStart>>)[partitionId] ?? "latest";
}

/** The newest event of every partition that has one at or behind the start. */
async function endsOf(
  management: Management,
  ids: readonly string[],
  { start = "latest" }: EventsOptions,
  deadline: Deadline,
): Promise<Map<string, number>> {
  const ends = new Map<string, number>();
  for (const id of ids) {
    // oxlint-disable-next-line no-await-in-loop -- the answers come on one link
    const found = await management.partition(id, deadline);
    if (hasSomethingFrom(found, wantedStart(id, start))) {
      ends.set(id, found.lastEnqueuedSequenceNumber);
    }
  }
  return ends;
}

function hasSomethingFrom(found: PartitionProperties, start: EventStart): boolean {
  if (found.isEmpty || start === "latest") return false;
  if (start === "earliest") return true;
  if ("sequenceNumber" in start) {
    const first = start.sequenceNumber + (start.isInclusive === false ? 1 : 0);
    return first <= found.lastEnqueuedSequenceNumber;
  }
  if ("offset" in start) {
    const last = BigInt(found.lastEnqueuedOffset);
    return start.isInclusive === true ? BigInt(start.offset) <= last : BigInt(start.offset) < last;
  }
  return found.lastEnqueuedTime === undefined || start.enqueuedTime < found.lastEnqueuedTime;
}

/** @throws IotError `service.unknown_address` */
export async function describePartitions(
  address: EventHubsAddress,
  ca: readonly string[],
  deadline: Deadline,
): Promise<PartitionProperties[]> {
  const connection = await AmqpConnection.open(dialOf(address, ca), deadline);
  try {
    const management = new Management(connection, address);
    const found: PartitionProperties[] = [];
    for (const id of await management.partitionIds(deadline)) {
      // oxlint-disable-next-line no-await-in-loop -- the answers come on one link
      found.push(await management.partition(id, deadline));
    }
    return found;
  } finally {
    await connection.close();
  }
}

/** Where the hub itself says its events are. */
export const redirectOf = (error: unknown): Record<string, unknown> | undefined => {
  const cause =
    error instanceof IotError ? (error.cause as { condition?: string; info?: object }) : {};
  return cause?.condition === "amqp:link:redirect"
    ? (cause.info as Record<string, unknown>)
    : undefined;
};
