import { createHmac, randomBytes } from "node:crypto";
import { buildSasToken, sasResource } from "@hubwire/protocol";
import { memoryStreamPair, VirtualClock } from "@hubwire/transport";
import type { ByteStream, PeerCertificate } from "@hubwire/transport";
import type { Packet } from "mqtt-packet";
import { createAuthenticator, ensurePolicies } from "../../src/domain/auth/index.ts";
import type { AuthenticatorOptions, Policy } from "../../src/domain/auth/index.ts";
import { createC2d } from "../../src/domain/c2d/index.ts";
import { ConnectionRegistry } from "../../src/domain/connections/index.ts";
import { createIdentities } from "../../src/domain/identities/index.ts";
import { createHubMetrics } from "../../src/domain/observe.ts";
import type { Identity, LiveConnection, TelemetryEvent } from "../../src/domain/services.ts";
import {
  createTelemetryReader,
  pacedLog,
  TelemetryIngest,
} from "../../src/domain/telemetry/index.ts";
import type { TelemetryLimits } from "../../src/domain/telemetry/index.ts";
import { createMqttListener } from "../../src/listeners/mqtt/index.ts";
import type { MqttListenerOptions } from "../../src/listeners/mqtt/index.ts";
import { createMemoryStores } from "../../src/stores/memory/index.ts";
import type { Fault, MemoryImage, StoreOperation } from "../../src/stores/memory/index.ts";
import { RawClient } from "./raw-client.ts";

export const host = "hub.example.net";

export type LogLine = { level: string; message: string; [fact: string]: unknown };

type WorldOptions = {
  clock?: VirtualClock;
  image?: MemoryImage;
  auth?: Partial<AuthenticatorOptions>;
  listener?: Partial<MqttListenerOptions>;
  telemetryLimits?: Partial<TelemetryLimits>;
  cleanSessionPurges?: boolean;
};

export type ConnectOptions = {
  deviceId?: string;
  moduleId?: string;
  clean?: boolean;
  keepalive?: number;
  will?: { topic: string; payload: string; qos?: 0 | 1 | 2; retain?: boolean };
  username?: string | undefined;
  password?: string | undefined;
  clientId?: string;
  /** Token lifetime in seconds. */
  lifetimeS?: number;
  certificate?: PeerCertificate;
  /** More packets in the same write. */
  pipelined?: Packet[];
};

/** What twins and methods were asked, and by whom. */
type Call = {
  connection: LiveConnection;
  rid: string;
  status?: number;
  version?: number | undefined;
  body?: string;
};

/** The conversational half of a hub over memory stores, memory streams and virtual time. */
export async function createWorld(options: WorldOptions = {}) {
  const clock = options.clock ?? new VirtualClock();
  const control = {
    /** While true no store operation completes; they do, in order, on `release`. */
    hold: false,
    fault: (_operation: StoreOperation): Fault => undefined,
  };
  const heldBack: (() => void)[] = [];
  const stores = createMemoryStores({
    clock,
    ...(options.image !== undefined && { image: options.image }),
    schedule: (complete) => {
      clock.endOfTurn(() => {
        if (control.hold) heldBack.push(complete);
        else complete();
      });
    },
    fault: (operation) => control.fault(operation),
  });
  const lines: LogLine[] = [];
  const log =
    (level: string) =>
    (facts: object, message: string): void =>
      void lines.push({ level, message, ...facts });
  const logger = { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
  const metrics = createHubMetrics();
  const { documents } = stores;
  const identities = createIdentities({ documents, clock, randomBytes });

  // Virtual time stands still while a promise waits for it, so every await of a store is a settle.
  const during = async <T>(work: Promise<T>): Promise<T> => {
    let result: PromiseSettledResult<T> | undefined;
    void Promise.allSettled([work]).then(([settled]) => (result = settled));
    for (let i = 0; i < 100 && result === undefined; i++) await clock.settle();
    if (result === undefined) throw new Error("a call never settled");
    if (result.status === "rejected") throw result.reason;
    return result.value;
  };

  const policies = await during(ensurePolicies(documents, randomBytes));
  const connections = new ConnectionRegistry({ documents, identities, clock });
  const telemetry = new TelemetryIngest({
    store: stores.telemetry,
    metrics,
    logger,
    ...(options.telemetryLimits !== undefined && { limits: options.telemetryLimits }),
  });
  const reader = createTelemetryReader(pacedLog(stores.telemetry, clock));
  let messageIds = 0;
  const c2d = createC2d({
    store: stores.c2d,
    identities,
    clock,
    metrics,
    logger,
    newMessageId: () => `generated-${++messageIds}`,
    ...(options.cleanSessionPurges !== undefined && {
      cleanSessionPurges: options.cleanSessionPurges,
    }),
  });
  await during(c2d.start());
  const authenticator = createAuthenticator({
    identities,
    policies,
    clock,
    hostNames: [host],
    ...options.auth,
  });
  const twinGets: Call[] = [];
  const twinReports: Call[] = [];
  const methodResponses: Call[] = [];
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
  let packetIds = 0;
  const listener = createMqttListener({
    authenticator,
    connections,
    telemetry,
    c2d: c2d.delivery,
    twins: {
      get: (connection, rid) => void twinGets.push({ connection, rid }),
      report: (connection, rid, version, body) =>
        void twinReports.push({ connection, rid, version, body: text(body) }),
    },
    methods: {
      respond: (connection, rid, status, body) =>
        void methodResponses.push({ connection, rid, status, body: text(body) }),
    },
    clock,
    logger,
    metrics,
    randomPacketId: () => 100 * ++packetIds,
    ...options.listener,
  });

  const world = {
    clock,
    control,
    stores,
    documents,
    identities,
    policies,
    connections,
    telemetry,
    reader,
    c2d,
    authenticator,
    listener,
    metrics,
    lines,
    twinGets,
    twinReports,
    methodResponses,
    during,
    settle: () => clock.settle(),

    /** Lets what `hold` kept back happen, but for the first `keep` operations. */
    async release({ keep = 0 } = {}): Promise<void> {
      control.hold = false;
      for (const complete of heldBack.splice(keep)) complete();
      await clock.settle();
    },

    async createDevice(deviceId: string, write: Partial<Identity> = {}): Promise<Identity> {
      return during(
        identities.create({
          deviceId,
          moduleId: undefined,
          status: "enabled",
          statusReason: undefined,
          authentication: undefined,
          capabilities: { iotEdge: false },
          managedBy: undefined,
          ...write,
        }),
      );
    },

    async updateDevice(identity: Identity, write: Partial<Identity>): Promise<Identity> {
      const { deviceId, moduleId, status, statusReason, authentication, capabilities, managedBy } =
        {
          ...identity,
          ...write,
        };
      const whole = {
        deviceId,
        moduleId,
        status,
        statusReason,
        authentication,
        capabilities,
        managedBy,
      };
      return during(identities.update(whole, "*"));
    },

    /** A stream to the hub; nothing is sent on it yet. */
    open(certificate?: PeerCertificate): RawClient {
      const [server, client] = memoryStreamPair({
        clock,
        peers: [{ address: "203.0.113.7:4711", certificate }, {}],
      });
      listener.handleStream(server);
      return new RawClient(client, () => clock.settle());
    },

    /** A second way in, for streams that are not perfect. */
    openOn(server: ByteStream, client: ByteStream): RawClient {
      listener.handleStream(server);
      return new RawClient(client, () => clock.settle());
    },

    /** Sends CONNECT as an SDK would and lets it be answered. */
    async connect(connect: ConnectOptions = {}): Promise<RawClient> {
      const client = world.open(connect.certificate);
      client.write(await world.connectPacket(connect), ...(connect.pipelined ?? []));
      await clock.settle();
      return client;
    },

    /** As `connect`, and the CONNACK is looked at: accepted. */
    async online(connect: ConnectOptions = {}): Promise<RawClient> {
      const client = await world.connect(connect);
      client.expect({ cmd: "connack", returnCode: 0 });
      return client;
    },

    async connectPacket(connect: ConnectOptions): Promise<Packet> {
      const { deviceId = "dev1", moduleId } = connect;
      const path = moduleId === undefined ? deviceId : `${deviceId}/${moduleId}`;
      const username =
        "username" in connect ? connect.username : `${host}/${path}/?api-version=2021-04-12`;
      const password = "password" in connect ? connect.password : await world.deviceToken(connect);
      return {
        cmd: "connect",
        protocolId: "MQTT",
        protocolVersion: 4,
        clientId: connect.clientId ?? path,
        clean: connect.clean ?? true,
        keepalive: connect.keepalive ?? 60,
        ...(username !== undefined && { username }),
        ...(password !== undefined && { password: Buffer.from(password) }),
        ...(connect.will !== undefined && {
          will: {
            topic: connect.will.topic,
            payload: Buffer.from(connect.will.payload),
            qos: connect.will.qos ?? 0,
            retain: connect.will.retain ?? false,
          },
        }),
      } as Packet;
    },

    async deviceToken(connect: ConnectOptions): Promise<string> {
      const { deviceId = "dev1", moduleId, lifetimeS = 3600 } = connect;
      const identity = await during(identities.find({ deviceId, moduleId }));
      const key =
        identity?.authentication.type === "sas" ? identity.authentication.primaryKey : "AAAA";
      const resource = sasResource(host, { deviceId, moduleId });
      const expiresAtS = Math.floor(clock.wallMs() / 1000) + lifetimeS;
      return buildSasToken({ resource, expiresAtS }, signWith(key));
    },

    policy(name: string): Policy {
      return policies.find((policy) => policy.name === name)!;
    },

    /** Everything in the log, partition by partition. */
    async events(): Promise<TelemetryEvent[]> {
      const limits = { recordsMax: 1_000_000, bytesMax: 1e9 };
      const all: TelemetryEvent[] = [];
      for (let partition = 0; partition < reader.partitionCount; partition++) {
        const events = await during(reader.read(partition, "first", limits));
        all.push(...events.map((event) => ({ ...event, body: new Uint8Array(event.body) })));
      }
      return all;
    },

    async bodies(): Promise<string[]> {
      return (await world.events()).map(({ body }) => text(body));
    },

    /** What the log says a connection ended with. */
    lastEnd(): unknown {
      return lines.findLast(({ event }) => event === "disconnected")?.["code"];
    },
    refusals(): LogLine[] {
      return lines.filter(({ event }) => event === "connect_refused");
    },
  };
  return world;
}

export type World = Awaited<ReturnType<typeof createWorld>>;

export const signWith =
  (key: string) =>
  async (toSign: string): Promise<string> =>
    createHmac("sha256", Buffer.from(key, "base64")).update(toSign).digest("base64");

/** A world with one enabled device, dev1. */
export async function worldWithDevice(options: WorldOptions = {}): Promise<World> {
  const world = await createWorld(options);
  await world.createDevice("dev1");
  return world;
}

export const telemetryTopic = "devices/dev1/messages/events/";

export const publish = (
  payload: string,
  { qos = 1, id = 1, topic = telemetryTopic, retain = false, dup = false } = {},
): Packet =>
  ({
    cmd: "publish",
    topic,
    payload: Buffer.from(payload),
    qos,
    retain,
    dup,
    ...(qos === 1 && { messageId: id }),
  }) as Packet;

export const subscribe = (id: number, ...filters: [topic: string, qos: 0 | 1 | 2][]): Packet => ({
  cmd: "subscribe",
  messageId: id,
  subscriptions: filters.map(([topic, qos]) => ({ topic, qos })),
});

export const puback = (id: number): Packet => ({ cmd: "puback", messageId: id });
export const c2dFilter = "devices/dev1/messages/devicebound/#";
