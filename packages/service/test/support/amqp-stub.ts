import type { AddressInfo } from "node:net";
import type { Server } from "node:tls";
import type { TestCertificates } from "@hubwire/testkit";
import rhea from "rhea";
import type { Connection, EventContext, Message, Receiver, Sender } from "rhea";

/** What the stub of Azure's AMQP endpoints was asked, and what it is to answer. */
export type AmqpStub = AsyncDisposable & {
  port: number;
  ca: string;
  /** `name` of each token that was put. */
  audiences: string[];
  tokens: string[];
  /** Cloud-to-device messages that were accepted. */
  sent: Message[];
  /** Conditions to reject by, for device ids. */
  rejections: Map<string, string>;
  /** `status-code` of `$cbs` answers. */
  tokenStatus: number;
  /** Feedback bodies that wait; taken out when accepted. */
  feedback: unknown[];
  outcomes: string[];
  /** Events by partition id. */
  events: Map<string, StubEvent[]>;
  /** Selector expressions of the readers that came. */
  selectors: string[];
  connections: number;
  /** Cuts all connections as a network does. */
  cut(): void;
  /** Ends every link of readers with this condition. */
  detachReaders(condition: string): void;
};

export type StubEvent = { sequenceNumber: number; deviceId: string; body: string };

const long = (value: number): unknown => rhea.types.wrap_long(value);

/** Shapes as the reference describes the service's; TLS on a free port. */
export async function amqpStub(certificates: TestCertificates): Promise<AmqpStub> {
  const { cert, key } = certificates.server;
  const container = rhea.create_container({ autoaccept: false });
  const open = new Set<Connection>();
  const readers = new Set<Sender>();
  const stub: AmqpStub = {
    port: 0,
    ca: certificates.root.cert,
    audiences: [],
    tokens: [],
    sent: [],
    rejections: new Map(),
    tokenStatus: 200,
    feedback: [],
    outcomes: [],
    events: new Map(),
    selectors: [],
    connections: 0,
    cut() {
      for (const connection of open) socketOf(connection).destroy();
      open.clear();
    },
    detachReaders(condition) {
      for (const reader of readers) reader.close({ condition, description: "by the test" });
      readers.clear();
    },
    async [Symbol.asyncDispose]() {
      stub.cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  const server = container.listen({
    transport: "tls",
    port: 0,
    host: "127.0.0.1",
    cert,
    key,
  } as never) as Server;
  container
    .on("connection_open", ({ connection }: EventContext) => {
      stub.connections++;
      open.add(connection);
    })
    .on("disconnected", ({ connection }: EventContext) => open.delete(connection))
    .on("receiver_open", ({ receiver }: EventContext) => {
      receiver!.set_target({ address: String(receiver!.target.address) });
    })
    .on("sender_open", ({ sender }: EventContext) => openSender(stub, readers, sender!))
    .on("message", (context: EventContext) => answer(stub, context))
    .on("error", () => {});
  await new Promise<void>((resolve) => server.once("listening", () => resolve()));
  stub.port = (server.address() as AddressInfo).port;
  return stub;
}

const socketOf = (connection: Connection): { destroy(): void } =>
  (connection as unknown as { socket: { destroy(): void } }).socket;

function openSender(stub: AmqpStub, readers: Set<Sender>, sender: Sender): void {
  const address = String(sender.source.address);
  sender.set_source({ address } as never);
  if (address === "messages/events/$management") {
    sender.close({
      condition: "amqp:link:redirect",
      description: "look elsewhere",
      info: {
        hostname: "localhost",
        "network-host": "localhost",
        port: stub.port,
        address: `amqps://localhost:${stub.port}/the-events/$management`,
      },
    } as never);
  } else if (address === "/messages/serviceBound/feedback") {
    sender.on("sendable", () => {
      for (const body of stub.feedback.splice(0)) {
        const bytes = Buffer.from(JSON.stringify(body));
        const delivery = sender.send({ body: rhea.message.data_section(bytes) });
        const again = (): void => void stub.feedback.push(body);
        for (const outcome of ["accepted", "released", "rejected"]) {
          sender.on(outcome, (context: EventContext) => {
            if (context.delivery !== delivery) return;
            stub.outcomes.push(outcome);
            if (outcome === "released") again();
          });
        }
      }
    });
  } else if (address.includes("/ConsumerGroups/")) {
    readers.add(sender);
    readPartition(stub, sender, address);
  }
}

function readPartition(stub: AmqpStub, sender: Sender, address: string): void {
  const partitionId = address.split("/").at(-1) ?? "";
  const { filter } = sender.source as unknown as { filter: Record<string, { value: string }> };
  const selector = String(filter["apache.org:selector-filter:string"]?.value);
  stub.selectors.push(`${partitionId}: ${selector}`);
  const events = stub.events.get(partitionId);
  if (events === undefined) {
    sender.close({ condition: "amqp:not-found", description: "no such partition" });
    return;
  }
  const sequence = /x-opt-sequence-number (>=?) '(\d+)'/u.exec(selector);
  let next = selector.includes("@latest") ? (events.at(-1)?.sequenceNumber ?? -1) + 1 : 0;
  if (sequence !== null) next = Number(sequence[2]) + (sequence[1] === ">" ? 1 : 0);
  sender.on("sendable", () => {
    for (const event of events) {
      if (event.sequenceNumber < next || !sender.sendable()) continue;
      next = event.sequenceNumber + 1;
      sender.send(messageOf(event));
    }
  });
}

const messageOf = ({ sequenceNumber, deviceId, body }: StubEvent): Message => ({
  message_annotations: {
    "x-opt-sequence-number": long(sequenceNumber),
    "x-opt-offset": String(sequenceNumber * 100),
    "x-opt-enqueued-time": rhea.types.wrap_timestamp(1_767_225_600_000 + sequenceNumber),
    "x-opt-partition-key": deviceId,
    "iothub-connection-device-id": deviceId,
    "iothub-message-source": "Telemetry",
  },
  message_id: "m-1",
  content_type: "application/json",
  application_properties: { room: "kitchen" },
  body: rhea.message.data_section(Buffer.from(body)) as unknown,
});

function answer(stub: AmqpStub, context: EventContext): void {
  const { message, receiver, delivery, connection } = context;
  const address = String(receiver!.target.address);
  if (address === "$cbs") {
    const facts = message!.application_properties ?? {};
    stub.audiences.push(String(facts["name"]));
    stub.tokens.push(String(message!.body));
    reply(connection, "$cbs", {
      correlation_id: message!.message_id!,
      application_properties: {
        "status-code": rhea.types.wrap_int(stub.tokenStatus),
        "status-description": "as the test wants",
      },
      body: "",
    });
  } else if (address === "/messages/devicebound") {
    const deviceId = String(message!.to).split("/")[2] ?? "";
    const condition = stub.rejections.get(deviceId);
    if (condition === "cut") return stub.cut();
    if (condition === "release") return delivery!.release();
    if (condition === "silence") return;
    if (condition !== undefined) {
      return delivery!.reject({ condition, description: "as the test wants" });
    }
    stub.sent.push(message!);
    delivery!.accept();
  } else if (address === "$management") {
    reply(connection, "$management", describe(stub, message!));
  }
}

function describe(stub: AmqpStub, message: Message): Message {
  const { partition, type } = (message.application_properties ?? {}) as Record<string, string>;
  const events = stub.events.get(partition ?? "") ?? [];
  const body =
    type === "com.microsoft:eventhub"
      ? {
          name: "the-events",
          partition_ids: rhea.types.wrap_array([...stub.events.keys()], 0xa1, undefined),
        }
      : {
          partition,
          begin_sequence_number: long(events[0]?.sequenceNumber ?? 0),
          last_enqueued_sequence_number: long(events.at(-1)?.sequenceNumber ?? -1),
          last_enqueued_offset: String((events.at(-1)?.sequenceNumber ?? 0) * 100),
          last_enqueued_time_utc: rhea.types.wrap_timestamp(
            1_767_225_600_000 + (events.at(-1)?.sequenceNumber ?? 0),
          ),
          is_partition_empty: events.length === 0,
        };
  return {
    correlation_id: message.message_id!,
    application_properties: { "status-code": rhea.types.wrap_int(200) },
    body,
  };
}

function reply(connection: Connection, from: string, message: Message): void {
  const links: Sender[] = [];
  connection.each_link(
    (link: Sender | Receiver) => links.push(link as Sender),
    (link: Sender | Receiver) =>
      link.is_sender() && link.source?.address === from && link.is_open(),
  );
  links.at(-1)?.send(message);
}
