import { isJsonObject, parseJson, payloadOf, ServerSession } from "@hubwire/protocol";
import type { ConnackCode, ConnectRequest, JsonObject, ServerEffect } from "@hubwire/protocol";
import {
  dpsAnswersFilter,
  dpsAnswerTopic,
  dpsMessageBytesMax,
  parseDpsRequestTopic,
  parseDpsUsername,
} from "@hubwire/protocol/dps";
import { Driver, listenTls, memoryStreamPair } from "@hubwire/transport";
import type { ByteStream, Clock, Listener, OpenStream } from "@hubwire/transport";
import type { TestCertificate } from "../certificates/certificates.ts";
import { Enrolments } from "./enrolments.ts";
import type { Admitted, GroupEnrolment, IndividualEnrolment } from "./enrolments.ts";
import { Registrations, replyBytes } from "./registrations.ts";
import type { DpsReply, DpsRequest } from "./registrations.ts";

/** Where a test makes the service behave differently. */
export type DpsScript = {
  /** Before a memory stream opens; may reject, or never settle. @param number 1 for the first */
  onOpen?: (number: number, signal: AbortSignal) => void | Promise<void>;
  /** CONNACK code to refuse with. @param number 1 for the first CONNECT */
  refuse?: (number: number) => Exclude<ConnackCode, 0> | undefined;
  /** 0x80 for the subscription. */
  refuseSubscription?: boolean;
  /**
   * What is answered instead: none, several, others; "cut" closes the connection. Undefined: the usual.
   * @param number 1 for the first request ever
   */
  reply?: (request: DpsRequest, number: number) => readonly DpsReply[] | "cut" | undefined;
};

export type ProvisioningServiceOptions = {
  clock: Clock;
  idScope?: string;
  script?: DpsScript;
};

type Client = {
  session: ServerSession;
  driver: Driver<ServerEffect>;
  stream: ByteStream;
  registrationId: string;
  admitted: Admitted | string;
  isSubscribed: boolean;
};

/**
 * A Device Provisioning Service for tests: MQTT as it is spoken, enrolments as they are checked, in memory or behind TLS. What
 * it refuses it refuses as Azure does: a user name it cannot read by CONNACK, a proof that is not good by answer 401.
 */
export class ProvisioningService {
  readonly idScope: string;
  readonly script: DpsScript;
  readonly registrations: Registrations;
  /** Requests in order of arrival. */
  readonly requests: DpsRequest[] = [];
  /** When each arrived, monotonic milliseconds. */
  readonly requestTimesMs: number[] = [];
  readonly usernames: string[] = [];
  /** Why proofs were not good, and CONNACK codes. */
  readonly refusals: string[] = [];
  /** DISCONNECTs. */
  farewells = 0;
  opened = 0;
  readonly #clock: Clock;
  readonly #enrolments = new Enrolments();
  readonly #clients = new Set<Client>();

  constructor(options: ProvisioningServiceOptions) {
    this.#clock = options.clock;
    this.idScope = options.idScope ?? "0ne0000ABCD";
    this.script = options.script ?? {};
    this.registrations = new Registrations(() => new Date(this.#clock.wallMs()));
  }

  enrol(enrolment: IndividualEnrolment): void {
    this.#enrolments.individual.push(enrolment);
  }

  enrolGroup(enrolment: GroupEnrolment): void {
    this.#enrolments.groups.push(enrolment);
  }

  get connections(): number {
    return this.#clients.size;
  }

  /** What a device gets as `provisioning.openStream`. */
  readonly open: OpenStream = async (signal) => {
    this.opened += 1;
    await this.script.onOpen?.(this.opened, signal);
    const [ours, theirs] = memoryStreamPair({ clock: this.#clock });
    this.serve(ours);
    return theirs;
  };

  /** Behind TLS on a free port of the loopback interface. */
  listen(server: TestCertificate): Promise<Listener> {
    return listenTls({
      host: "127.0.0.1",
      port: 0,
      key: server.key,
      cert: server.fullChain,
      onStream: (stream) => this.serve(stream),
    });
  }

  /** Cuts all connections without a word. */
  cut(): void {
    for (const { driver } of this.#clients) driver.destroy("transport.closed", "cut by the test");
  }

  /** Takes a connection. */
  serve(stream: ByteStream): void {
    const session = new ServerSession(
      {
        packetBytesMax: dpsMessageBytesMax + 1_024,
        connectTimeoutMs: 30_000,
        inflightMax: 100,
        pendingBytesMax: 300_000,
      },
      this.#clock.nowMs(),
    );
    const client: Client = {
      session,
      stream,
      driver: new Driver<ServerEffect>({
        session,
        stream,
        clock: this.#clock,
        onEffects: (effects) => {
          for (const effect of effects) this.#effect(client, effect);
        },
        onClosed: () => this.#clients.delete(client),
      }),
      registrationId: "",
      admitted: "no CONNECT",
      isSubscribed: false,
    };
    this.#clients.add(client);
    client.driver.start();
  }

  #effect(client: Client, effect: ServerEffect): void {
    const { session, driver } = client;
    switch (effect.type) {
      case "connect":
        return this.#connect(client, effect.request);
      case "subscribe":
        session.suback(
          effect.packetId,
          effect.filters.map(({ filter, qos }) => {
            if (filter !== dpsAnswersFilter || this.script.refuseSubscription === true) return 0x80;
            client.isSubscribed = true;
            return qos === 0 ? 0 : 1;
          }),
        );
        return driver.touch();
      case "unsubscribe":
        client.isSubscribed = false;
        session.unsuback(effect.packetId);
        return driver.touch();
      case "message":
        return this.#message(client, effect);
      case "disconnect":
        this.farewells += 1;
        return;
      case "published":
      case "close":
    }
  }

  #connect(client: Client, request: ConnectRequest): void {
    const { session, driver, stream } = client;
    this.usernames.push(request.username ?? "");
    const username = parseDpsUsername(request.username ?? "");
    const isNamed =
      username?.idScope === this.idScope &&
      username.apiVersion !== undefined &&
      username.registrationId.toLowerCase() === request.clientId.toLowerCase();
    const code = this.script.refuse?.(this.usernames.length) ?? (isNamed ? undefined : 5);
    if (code !== undefined || username === undefined) {
      this.refusals.push(`CONNACK ${code ?? 5}`);
      return driver.apply(session.refuse(code ?? 5, this.#clock.nowMs()));
    }
    client.registrationId = username.registrationId.toLowerCase();
    client.admitted = this.#enrolments.admit({
      idScope: username.idScope,
      registrationId: username.registrationId,
      password: Buffer.from(request.password ?? []).toString("utf8"),
      certificate: stream.peer.certificate,
      wallMs: this.#clock.wallMs(),
    });
    if (typeof client.admitted === "string") this.refusals.push(client.admitted);
    const keepAliveTimeoutMs = request.keepAliveS === 0 ? Infinity : request.keepAliveS * 1_500;
    driver.apply(
      session.accept({ sessionPresent: false, keepAliveTimeoutMs }, this.#clock.nowMs()),
    );
  }

  #message(client: Client, message: ServerEffect & { type: "message" }): void {
    const { session, driver, registrationId } = client;
    const topic = parseDpsRequestTopic(message.topic);
    const text = Buffer.from(payloadOf(message)).toString("utf8");
    const body = topic.type === "register" ? bodyOf(payloadOf(message)) : undefined;
    session.ack(message.receipt);
    driver.touch();
    if (topic.type === "unknown") return driver.destroy("topic.foreign_publish", topic.why);
    const request: DpsRequest =
      topic.type === "register"
        ? { ...topic, registrationId, body: body ?? {}, text }
        : { ...topic, registrationId, text };
    this.requests.push(request);
    this.requestTimesMs.push(this.#clock.nowMs());
    const scripted = this.script.reply?.(request, this.requests.length);
    if (scripted === "cut") return driver.destroy("transport.closed", "cut by the script");
    if (scripted !== undefined) {
      for (const reply of scripted) this.#send(client, request, reply);
      return;
    }
    void this.#usual(client, request, body !== undefined).then((reply) =>
      this.#send(client, request, reply),
    );
  }

  async #usual(client: Client, request: DpsRequest, isReadable: boolean): Promise<DpsReply> {
    const { admitted, registrationId } = client;
    if (typeof admitted === "string") return this.registrations.refusal(401, 401002);
    if (request.type === "status") return this.registrations.status(request);
    const named = request.body["registrationId"];
    if (!isReadable || typeof named !== "string" || named.toLowerCase() !== registrationId) {
      return this.registrations.refusal(400, 400000, "Bad request");
    }
    return this.registrations.register(request, admitted);
  }

  #send(client: Client, request: DpsRequest, reply: DpsReply): void {
    const { status, rid = request.rid, retryAfterS, afterMs = 0 } = reply;
    if (afterMs > 0) {
      const now = { ...reply, afterMs: 0 };
      this.#clock.at(this.#clock.nowMs() + afterMs, () => this.#send(client, request, now));
      return;
    }
    // Without its subscription a device gets no answer at all.
    if (!client.isSubscribed) return;
    const topic = dpsAnswerTopic(status, rid, retryAfterS);
    client.session.publish({ topic, payload: replyBytes(reply), qos: 1 }, this.#clock.nowMs());
    client.driver.touch();
  }
}

function bodyOf(bytes: Uint8Array): JsonObject | undefined {
  try {
    const body = parseJson(bytes);
    return isJsonObject(body) ? body : undefined;
  } catch {
    return undefined;
  }
}
