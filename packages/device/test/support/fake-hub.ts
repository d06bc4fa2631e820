import type { HubScript } from "./script.ts";
import {
  formatC2dProperties,
  IotError,
  mergePatch,
  methodRequestTopic,
  parseDeviceTopic,
  parseSasToken,
  payloadOf,
  ServerSession,
} from "@hubwire/protocol";
import type {
  ConnectRequest,
  JsonObject,
  MessagePropertiesInput,
  ServerEffect,
  ServerSnapshot,
} from "@hubwire/protocol";
import { Driver, memoryStreamPair } from "@hubwire/transport";
import type { ByteStream, Clock, OpenStream } from "@hubwire/transport";

export const identity = { deviceId: "dev1" } as const;
export const hostName = "hub.example";

/** One life of a connection, as the hub saw it. */
export class HubConnection {
  readonly session: ServerSession;
  driver!: Driver<ServerEffect>;
  request: ConnectRequest | undefined;
  readonly filters: string[] = [];
  closed = false;

  constructor(session: ServerSession) {
    this.session = session;
  }
}

export type Received = { topic: string; text: string; packetId: number; dup: boolean };

/**
 * A hub for one device over memory streams: a real `ServerSession`, and behind it whatever the test's script says. Without a
 * script it behaves: accepts, grants, acknowledges at once, answers twin requests, keeps the session.
 */
export class FakeHub {
  readonly clock: Clock;
  readonly script: HubScript;
  readonly connections: HubConnection[] = [];
  /** Telemetry in order of arrival, repetitions included. */
  readonly telemetry: Received[] = [];
  /** `connection`: 1 for the first. */
  readonly methodAnswers: { connection: number; status: number; rid: string; text: string }[] = [];
  readonly reports: unknown[] = [];
  /** Texts of queued C2D messages the device completed. */
  readonly completedTexts: string[] = [];
  readonly #queued: string[] = [];
  readonly #locked = new Map<number, string>();
  /** Packet ids of C2D messages the device acknowledged. */
  readonly completed: number[] = [];
  readonly refusals: string[] = [];
  twin = { desired: {} as Record<string, unknown>, desiredVersion: 1, reportedVersion: 1 };
  /** The section that reports make; `reports` has the patches. */
  reported: JsonObject = {};
  opened = 0;
  #subscriptions = new Set<string>();
  #hasSession = false;
  #snapshot: ServerSnapshot | undefined;
  #rid = 0;

  constructor(clock: Clock, script: HubScript = {}) {
    this.clock = clock;
    this.script = script;
  }

  /** What the client gets as `openStream`. */
  readonly open: OpenStream = async (signal) => {
    const number = ++this.opened;
    await this.script.onOpen?.(number, signal);
    const [ours, theirs] = memoryStreamPair({ clock: this.clock });
    this.serve(ours);
    return theirs;
  };

  get current(): HubConnection {
    const last = this.connections.findLast(
      ({ closed, request }) => !closed && request !== undefined,
    );
    if (last === undefined) throw new Error("no device is connected");
    return last;
  }

  get isConnected(): boolean {
    return this.connections.some(({ closed, request }) => !closed && request !== undefined);
  }

  get texts(): string[] {
    return this.telemetry.map(({ text }) => text);
  }

  /** Cuts the connection without a word. */
  cut(): void {
    this.current.driver.destroy("transport.closed", "cut by the test");
  }

  /** Forgets the device's session, as a hub does that lost its store. */
  forgetSession(): void {
    this.#queued.unshift(...this.#locked.values());
    this.#locked.clear();
    this.#hasSession = false;
    this.#subscriptions = new Set();
    this.#snapshot = undefined;
  }

  /** Queues a C2D message, as a service does: it is delivered whenever the device is there to take it. */
  queueC2d(text: string): void {
    this.#queued.push(text);
    this.#deliverC2d();
  }

  #deliverC2d(): void {
    if (!this.isConnected || !this.#subscriptions.has("devices/dev1/messages/devicebound/#"))
      return;
    for (const text of this.#queued.splice(0)) this.#locked.set(this.c2d(text), text);
  }

  c2d(text: string, properties: MessagePropertiesInput = {}): number {
    const bag = formatC2dProperties(identity, properties);
    return this.publish(`devices/dev1/messages/devicebound/${bag}`, text, 1);
  }

  method(name: string, text: string, rid = `r${++this.#rid}`): string {
    this.publish(methodRequestTopic(name, rid), text, 0);
    return rid;
  }

  /** Changes desired properties; tells the device unless the notification is to get lost. */
  desire(patch: Record<string, unknown>, lost = false): void {
    this.twin.desired = { ...this.twin.desired, ...patch };
    for (const [key, value] of Object.entries(patch)) {
      if (value === null) delete this.twin.desired[key];
    }
    const version = ++this.twin.desiredVersion;
    if (lost) return;
    this.publish(
      `$iothub/twin/PATCH/properties/desired/?$version=${version}`,
      JSON.stringify({ ...patch, $version: version }),
      0,
    );
  }

  /** A service's PUT: the notification has the form of a patch, with the whole new section. */
  replaceDesired(section: Record<string, unknown>): void {
    this.twin.desired = { ...section };
    const version = ++this.twin.desiredVersion;
    this.publish(
      `$iothub/twin/PATCH/properties/desired/?$version=${version}`,
      JSON.stringify({ ...section, $version: version }),
      0,
    );
  }

  publish(topic: string, text: string, qos: 0 | 1): number {
    const { session, driver } = this.current;
    const payload = Buffer.from(text, "utf8");
    const packetId = session.publish({ topic, payload, qos }, this.clock.nowMs());
    driver.touch();
    return packetId;
  }

  /** Takes a connection. */
  serve(stream: ByteStream): void {
    const session = new ServerSession(
      {
        packetBytesMax: 300_000,
        connectTimeoutMs: 30_000,
        inflightMax: 100,
        pendingBytesMax: 300_000,
      },
      this.clock.nowMs(),
    );
    const connection = new HubConnection(session);
    connection.driver = new Driver<ServerEffect>({
      session,
      stream,
      clock: this.clock,
      onEffects: (effects) => {
        for (const effect of effects) this.#effect(connection, effect);
      },
      onClosed: () => {
        connection.closed = true;
        if (connection.request !== undefined) this.#snapshot = session.snapshot();
      },
    });
    this.connections.push(connection);
    connection.driver.start();
  }

  #effect(connection: HubConnection, effect: ServerEffect): void {
    if (this.script.onEffect?.(effect, connection, this) === "taken") return;
    const { session, driver } = connection;
    switch (effect.type) {
      case "connect":
        return this.#connect(connection, effect.request);
      case "subscribe": {
        for (const { filter } of effect.filters) {
          connection.filters.push(filter);
          this.#subscriptions.add(filter);
        }
        session.suback(
          effect.packetId,
          effect.filters.map(({ qos }) => (qos === 0 ? 0 : 1)),
        );
        this.#deliverC2d();
        return driver.touch();
      }
      case "published":
        this.completed.push(effect.packetId);
        this.completedTexts.push(this.#locked.get(effect.packetId) ?? "");
        this.#locked.delete(effect.packetId);
        return;
      case "message":
        return this.#message(connection, effect);
      case "unsubscribe":
      case "disconnect":
      case "close":
    }
  }

  #connect(connection: HubConnection, request: ConnectRequest): void {
    const { session, driver } = connection;
    const number = this.connections.filter((one) => one.request !== undefined).length + 1;
    const refusal = this.script.refuse?.(number, request) ?? this.#checkToken(request);
    if (refusal !== undefined) {
      this.refusals.push(`CONNACK ${refusal}`);
      return driver.apply(session.refuse(refusal, this.clock.nowMs()));
    }
    // Takeover: the earlier connection ends without a word.
    for (const other of this.connections) {
      if (other !== connection && !other.closed && other.request !== undefined) {
        other.driver.destroy("transport.closed", "taken over");
      }
    }
    connection.request = request;
    if (request.cleanSession) this.forgetSession();
    const sessionPresent = this.#hasSession;
    this.#hasSession = !request.cleanSession;
    this.#cutAtExpiry(connection, request);
    driver.apply(
      session.accept(
        {
          sessionPresent,
          keepAliveTimeoutMs: this.script.keepAliveTimeoutMs ?? request.keepAliveS * 1_500,
          ...(sessionPresent && this.#snapshot !== undefined ? { inflight: this.#snapshot } : {}),
        },
        this.clock.nowMs(),
      ),
    );
    this.#deliverC2d();
  }

  /** Tolerance 0: a token is refused from the second of its expiry on. */
  #checkToken(request: ConnectRequest): 5 | undefined {
    const password = Buffer.from(request.password ?? []).toString("utf8");
    if (!password.startsWith("SharedAccessSignature ")) return undefined;
    return parseSasToken(password).expiresAtS * 1000 <= this.clock.wallMs() ? 5 : undefined;
  }

  /** Grace 0: a connection is cut at the moment its token ends. */
  #cutAtExpiry(connection: HubConnection, request: ConnectRequest): void {
    const password = Buffer.from(request.password ?? []).toString("utf8");
    if (!password.startsWith("SharedAccessSignature ")) return;
    const leftMs = parseSasToken(password).expiresAtS * 1000 - this.clock.wallMs();
    this.clock.at(this.clock.nowMs() + leftMs, () => {
      if (connection.closed) return;
      this.refusals.push("token ended");
      connection.driver.destroy("transport.closed", "token ended");
    });
  }

  #message(connection: HubConnection, message: ServerEffect & { type: "message" }): void {
    const { session, driver } = connection;
    const text = Buffer.from(payloadOf(message)).toString("utf8");
    const topic = parseDeviceTopic(message.topic, identity);
    switch (topic.type) {
      case "telemetry":
        this.telemetry.push({
          topic: message.topic,
          text,
          packetId: message.packetId,
          dup: message.dup,
        });
        session.ack(message.receipt);
        return driver.touch();
      case "methodResponse":
        this.methodAnswers.push({
          connection: this.connections.indexOf(connection) + 1,
          status: topic.status,
          rid: topic.rid,
          text,
        });
        return;
      case "twinGet": {
        const { desired, desiredVersion, reportedVersion } = this.twin;
        const body = {
          desired: { ...desired, $version: desiredVersion },
          reported: { ...this.reported, $version: reportedVersion },
        };
        return this.answerTwin(connection, 200, topic.rid, JSON.stringify(body));
      }
      case "twinReport":
        if (topic.version !== undefined && topic.version !== this.twin.reportedVersion) {
          return this.answerTwin(connection, 412, topic.rid, "");
        }
        this.reports.push(JSON.parse(text));
        this.reported = mergePatch(this.reported, JSON.parse(text) as JsonObject);
        this.twin.reportedVersion += 1;
        return this.answerTwin(connection, 204, topic.rid, "", this.twin.reportedVersion);
      case "certificateIssue":
      case "foreign":
        throw new IotError("topic.foreign_publish", `the client published to ${message.topic}`);
    }
  }

  answerTwin(
    connection: HubConnection,
    status: number,
    rid: string,
    text: string,
    version?: number,
  ): void {
    // Without its subscription a device gets no answer at all.
    if (!this.#subscriptions.has("$iothub/twin/res/#")) return;
    const suffix = version === undefined ? "" : `&$version=${version}`;
    const topic = `$iothub/twin/res/${status}/?$rid=${rid}${suffix}`;
    const payload = Buffer.from(text, "utf8");
    connection.session.publish({ topic, payload, qos: 0 }, this.clock.nowMs());
    connection.driver.touch();
  }
}
