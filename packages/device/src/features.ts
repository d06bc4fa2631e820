import { c2dFilter, moduleInputsFilter, parseHubTopic } from "@hubwire/protocol";
import type { ClientEffect, IncomingMessage } from "@hubwire/protocol";
import { C2dMessage, InputMessage } from "./c2d/c2d-message.ts";
import { Inbox } from "./c2d/inbox.ts";
import { invalid } from "./calls/errors.ts";
import type { IssueCall } from "./certificates/issue-call.ts";
import type { Agenda } from "./connection/agenda.ts";
import { learnTime } from "./connection/server-time.ts";
import { Subscriptions } from "./connection/subscriptions.ts";
import type { Uplink } from "./connection/uplink.ts";
import { Methods } from "./methods/methods.ts";
import type { ConnectOptions } from "./options/options.ts";
import type { Settings } from "./options/settings.ts";
import type { MessageStore } from "./outbox/store.ts";
import { Telemetry } from "./telemetry/telemetry.ts";
import { DeviceTwin } from "./twin/device-twin.ts";

const messageNames = { loop: "messages()", handler: "onMessage" };
const inputNames = { loop: "inputs()", handler: "onInput" };
const newC2dMessage = (...given: ConstructorParameters<typeof C2dMessage>): C2dMessage =>
  new C2dMessage(...given);

/** Everything a device does over its connection; tells each part what of the connection concerns it. */
export class Features {
  readonly telemetry: Telemetry;
  readonly inbox: Inbox<C2dMessage>;
  readonly inputs: Inbox<InputMessage>;
  readonly methods: Methods;
  readonly twin: DeviceTwin;
  readonly #settings: Settings;
  readonly #uplink: Uplink;
  readonly #agenda: Agenda;
  readonly #subscriptions: Subscriptions;
  /** Only once a certificate was asked for. */
  #issueCall: IssueCall | undefined;

  constructor(
    settings: Settings,
    options: ConnectOptions,
    connection: { uplink: Uplink; agenda: Agenda; store: MessageStore | undefined },
  ) {
    const { uplink, agenda, store } = connection;
    this.#settings = settings;
    this.#uplink = uplink;
    this.#agenda = agenda;
    const subscriptions = new Subscriptions(settings, uplink, agenda);
    this.#subscriptions = subscriptions;
    this.twin = new DeviceTwin(settings, uplink, subscriptions, agenda);
    this.telemetry = new Telemetry(settings, uplink, agenda, store);
    this.inbox = new Inbox(settings, uplink, subscriptions, agenda, messageNames, () =>
      c2dFilter(settings.endpoint.identity),
    );
    if (options.onMessage !== undefined) this.inbox.on(options.onMessage, undefined);
    this.inputs = new Inbox(settings, uplink, subscriptions, agenda, inputNames, () =>
      moduleInputsFilter(this.module()),
    );
    const { methods = {}, unknownMethod } = options;
    this.methods = new Methods(settings, uplink, subscriptions, agenda, methods, unknownMethod);
  }

  /** @throws IotError `argument.invalid` when this is a device */
  module(): { deviceId: string; moduleId: string } {
    const { deviceId, moduleId } = this.#settings.endpoint.identity;
    if (moduleId === undefined) throw invalid("Only modules have inputs; this is a device");
    return { deviceId, moduleId };
  }

  /** @param Call what is loaded only when a certificate is asked for */
  issueCall(Call: typeof IssueCall): IssueCall {
    this.#issueCall ??= new Call(this.#settings, this.#uplink, this.#subscriptions, this.#agenda);
    return this.#issueCall;
  }

  /** Requests and handlers under way whose answers belong to the connection in use. */
  get requestsOpen(): boolean {
    return this.twin.requests.open || this.methods.running > 0 || this.#issueCall?.open === true;
  }

  /** Something is under way that the connection in use would finish; telemetry does not count. */
  get busy(): boolean {
    const isHandling = this.inbox.running > 0 || this.inputs.running > 0;
    return this.requestsOpen || this.twin.reporting || isHandling;
  }

  connected(nowMs: number): void {
    this.telemetry.connected(nowMs);
    this.#subscriptions.connected(nowMs);
  }

  disconnected(): void {
    this.telemetry.disconnected();
    this.#subscriptions.disconnected();
    this.#issueCall?.disconnected();
    this.twin.disconnected();
  }

  /** The device has another id from now on. */
  renamed(): void {
    this.telemetry.renamed();
    this.inbox.renamed();
    this.inputs.renamed();
  }

  effect(effect: ClientEffect, nowMs: number): void {
    if (effect.type === "published") this.telemetry.acknowledged(effect.packetId, nowMs);
    else if (effect.type === "message") this.#message(effect);
    else if (effect.type === "subscribed") {
      this.#subscriptions.subscribed(effect.packetId, effect.granted, nowMs);
    }
  }

  close(): void {
    this.telemetry.close();
    this.twin.close();
    this.#issueCall?.close();
    this.methods.close();
    this.inbox.close();
    this.inputs.close();
  }

  #message(message: IncomingMessage): void {
    const topic = parseHubTopic(message.topic);
    const { skew, clock } = this.#settings;
    learnTime(skew, topic, message, clock);
    switch (topic.type) {
      case "c2d":
        return this.inbox.received(message, topic.bag, newC2dMessage);
      case "moduleInput":
        return this.inputs.received(
          message,
          topic.bag,
          (body, properties, hint, complete) =>
            new InputMessage(topic.input, body, properties, hint, complete),
        );
      case "method":
        return this.methods.received(message, topic.name, topic.rid);
      case "twinResponse":
        return this.twin.requests.received(message, topic);
      case "desired":
        return this.twin.desired.received(message, topic.version);
      case "certificateResponse":
        this.#issueCall?.received(message, topic);
        this.#uplink.session.ack(message.receipt);
        return this.#uplink.touch();
      case "unknown":
        // Nobody asked for it. Acknowledged, or it would take a place in the window for ever.
        this.#uplink.session.ack(message.receipt);
        this.#uplink.touch();
    }
  }
}
