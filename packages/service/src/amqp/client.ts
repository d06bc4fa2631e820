/// <reference lib="esnext.disposable" preserve="true" />
import { IotError, parseServiceConnectionString } from "@hubwire/protocol";
import { accessOf } from "../credentials.ts";
import type { Access, Credentials } from "../credentials.ts";
import type { CallOptions, Ref } from "../types.ts";
import { startDeadline } from "../waiting.ts";
import type { Deadline } from "../waiting.ts";
import { C2dSender } from "./c2d.ts";
import type { C2dMessage } from "./c2d.ts";
import { AmqpConnection, errorOf } from "./connection.ts";
import type { DeviceEvent } from "./event.ts";
import { parseEventHubsConnectionString } from "./event-hubs.ts";
import type { EventHubsAddress } from "./event-hubs.ts";
import { describePartitions, readEvents, redirectOf } from "./events.ts";
import type { EventsOptions } from "./events.ts";
import { openFeedback } from "./feedback.ts";
import type { FeedbackBatch } from "./feedback.ts";
import type { PartitionProperties } from "./management.ts";
import { readResiliently } from "./resilient.ts";
import type { ReconnectOptions, Source } from "./resilient.ts";

export type AmqpClientOptions = Credentials & {
  /** PEM of CAs trusted besides the usual ones: a local hub's `ca.pem`. */
  ca?: string | readonly string[];
  /** Default 5671. A port in the host name is the REST API's, not this one. */
  port?: number;
  /**
   * The Event Hubs-compatible connection string, for `events`. Without it the hub is asked where its events are, which needs
   * `connectionString` credentials.
   */
  eventHubsConnectionString?: string;
};

export type FeedbackOptions = ReconnectOptions & {
  /** Ends the reading, quietly. */
  signal?: AbortSignal;
  /** To connect and to attach, each time. Default 30 s. */
  timeoutMs?: number;
};

/** What a back end does over AMQP. Connects when first used; nothing stays open behind `close`. */
export interface AmqpClient extends AsyncDisposable {
  /**
   * Resolves when the hub has the message: its delivery was settled as accepted.
   * @throws IotError `device.not_found`, `quota.queue_full`, `service.message_rejected`; `service.link_closed` when the
   * connection was lost before the outcome came, so that it may have been queued or not
   */
  sendToDevice(
    ref: Ref,
    message: C2dMessage,
    options?: CallOptions,
  ): Promise<{ messageId: string }>;
  /** What became of messages sent with `ack`. A batch that is not settled comes again. */
  feedback(options?: FeedbackOptions): AsyncGenerator<FeedbackBatch, void, undefined>;
  /** Telemetry and the hub's own events, as they come. */
  events(options?: EventsOptions): AsyncGenerator<DeviceEvent, void, undefined>;
  /** The partitions of the event stream: their first and last sequence numbers. */
  partitions(options?: CallOptions): Promise<PartitionProperties[]>;
  /** Ends everything that is read and every connection. */
  close(): Promise<void>;
}

/** The link for messages, open or on its way. */
type Sending = {
  promise: Promise<{ connection: AmqpConnection; sender: C2dSender }>;
  sender: C2dSender | undefined;
};

const isSpent = ({ sender }: Sending): boolean => sender !== undefined && !sender.isUsable;

const standardPort = 5671;
const timeoutMsDefault = 30_000;
/** A hub that lets the reader attach has said why not by then, or will not. */
const redirectWaitMs = 2_000;

/** @throws IotError `connection_string.*`, `argument.invalid` */
export function createAmqpClient(options: AmqpClientOptions): AmqpClient {
  const access = accessOf(options);
  const ca = typeof options.ca === "string" ? [options.ca] : [...(options.ca ?? [])];
  const dial = {
    host: access.hostName,
    port: options.port ?? standardPort,
    ca,
    anonymousAs: undefined,
  };
  const closing = new AbortController();
  const { eventHubsConnectionString } = options;
  let eventHubs =
    eventHubsConnectionString === undefined
      ? undefined
      : parseEventHubsConnectionString(eventHubsConnectionString);
  let sending: Sending | undefined;

  const connect = async (deadline: Deadline): Promise<AmqpConnection> => {
    const connection = await AmqpConnection.open(dial, deadline);
    try {
      await connection.tokens.put(access.hostName, () => access.token(), deadline);
      return connection;
    } catch (error) {
      await connection.close();
      throw error;
    }
  };

  const begin = (what: string, how: CallOptions | undefined): Deadline => {
    if (closing.signal.aborted) throw new IotError("client.closed", "The AMQP client is closed");
    const signals = [closing.signal, ...(how?.signal === undefined ? [] : [how.signal])];
    return startDeadline(what, how?.timeoutMs ?? timeoutMsDefault, AbortSignal.any(signals));
  };

  const openSender = async (): Promise<{ connection: AmqpConnection; sender: C2dSender }> => {
    // Of its own: whoever came first may have less patience than who shares it.
    const deadline = begin("Connecting", undefined);
    try {
      const connection = await connect(deadline);
      try {
        return { connection, sender: await C2dSender.open(connection, deadline) };
      } catch (error) {
        await connection.close();
        throw error;
      }
    } finally {
      deadline.done();
    }
  };

  const senderFor = async (deadline: Deadline): Promise<C2dSender> => {
    if (sending === undefined || isSpent(sending)) {
      const opening = { promise: openSender(), sender: undefined } as Sending;
      sending = opening;
      opening.promise.then(
        (opened) => (opening.sender = opened.sender),
        () => {
          if (sending === opening) sending = undefined;
        },
      );
    }
    const { sender } = await deadline.race(sending.promise);
    return sender;
  };

  const locate = async (deadline: Deadline): Promise<EventHubsAddress> =>
    (eventHubs ??= await askForEventHubs(options, access, connect, deadline));

  const untilClosed = (signal: AbortSignal | undefined): AbortSignal =>
    AbortSignal.any([closing.signal, ...(signal === undefined ? [] : [signal])]);

  const client: AmqpClient = {
    async sendToDevice(ref, message, how) {
      const deadline = begin("Sending a message", how);
      try {
        const sender = await senderFor(deadline);
        return await sender.send(ref, message, deadline);
      } finally {
        deadline.done();
      }
    },
    feedback(how = {}) {
      const open = async (signal: AbortSignal): Promise<Source<FeedbackBatch>> => {
        const deadline = begin("Opening feedback", { ...how, signal });
        try {
          const connection = await connect(deadline);
          try {
            const source = await openFeedback(connection, deadline);
            return {
              next: () => source.next(),
              close: () => source.close().then(() => connection.close()),
            };
          } catch (error) {
            await connection.close();
            throw error;
          }
        } finally {
          deadline.done();
        }
      };
      return readResiliently(open, untilClosed(how.signal), how);
    },
    async *events(how = {}) {
      const signal = untilClosed(how.signal);
      if (signal.aborted) return;
      const deadline = begin("Looking for the event stream", { ...how, signal });
      let address: EventHubsAddress;
      try {
        address = await locate(deadline);
      } finally {
        deadline.done();
      }
      yield* readEvents(address, ca, how, signal);
    },
    async partitions(how) {
      const deadline = begin("Reading the partitions", how);
      try {
        return await describePartitions(await locate(deadline), ca, deadline);
      } finally {
        deadline.done();
      }
    },
    async close() {
      closing.abort();
      const open = await sending?.promise.catch(() => {});
      await open?.connection.close();
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
  return client;
}

/** The hub answers a reader on its own host with the address of its event hub. */
async function askForEventHubs(
  options: AmqpClientOptions,
  access: Access,
  connect: (deadline: Deadline) => Promise<AmqpConnection>,
  deadline: Deadline,
): Promise<EventHubsAddress> {
  if (!("connectionString" in options)) {
    throw new IotError(
      "argument.invalid",
      "Reading events needs eventHubsConnectionString, or credentials with a connectionString",
    );
  }
  const { sharedAccessKey, sharedAccessKeyName } = parseServiceConnectionString(
    options.connectionString,
  );
  const connection = await connect(deadline);
  try {
    const source = "messages/events/$management";
    const receiver = await connection.openReceiver({ source, credit_window: 0 }, deadline);
    // It attached and says the reason afterwards.
    const refused = new Promise<never>((_, reject) => {
      const refuse = (): void => reject(connection.refusal("The reader", errorOf(receiver)));
      receiver.once("receiver_error", refuse).once("receiver_close", refuse);
    });
    await Promise.race([deadline.race(refused), deadline.sleep(redirectWaitMs)]);
  } catch (error) {
    const info = redirectOf(error);
    if (info === undefined) throw error;
    const at = /^amqps?:\/\/[^/]+\/(?<entity>[^/]+)/u.exec(String(info["address"]));
    const entity = at?.groups?.["entity"];
    const host = info["network-host"] ?? info["hostname"];
    if (entity === undefined || typeof host !== "string") {
      throw new IotError("service.bad_answer", "The hub's redirect names no event hub", {
        cause: error,
      });
    }
    const port = Number(info["port"] ?? standardPort);
    return {
      host,
      port,
      authority: port === standardPort ? host : `${host}:${port}`,
      entity,
      isPlain: false,
      policyName: sharedAccessKeyName,
      key: sharedAccessKey,
    };
  } finally {
    await connection.close();
  }
  throw new IotError(
    "service.unknown_address",
    `${access.hostName} does not say where its events are; pass eventHubsConnectionString`,
  );
}
