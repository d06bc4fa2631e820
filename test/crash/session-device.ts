import {
  c2dFilter,
  desiredFilter,
  methodResponseTopic,
  methodsFilter,
  parseHubTopic,
  payloadOf,
  twinGetTopic,
  twinReportTopic,
  twinResponsesFilter,
  type ClientEffect,
  type IncomingMessage,
} from "@hubwire/protocol";
import type { SeededRandom } from "@hubwire/testkit";
import type { BackEnd } from "./back-end.ts";
import { C2dLedger } from "./c2d-ledger.ts";
import type { HubAddress } from "./hub-process.ts";
import type { Life } from "./life.ts";
import { MqttDevice } from "./mqtt-device.ts";
import type { Promises } from "./promises.ts";
import { TwinLedger, type SectionView } from "./twin-ledger.ts";

/** What the hub promised about one filter: `doubt` when its SUBSCRIBE or UNSUBSCRIBE was never answered. */
type Standing = "on" | "off" | "doubt";

/** Messages held without PUBACK; more would fill the window and stop the queue. */
const heldMax = 8;
/** Well below the 50 that a queue takes. */
const outstandingMax = 25;

/** A device that lives on what the hub keeps for it: its session, its twin, its queue. */
export class SessionDevice {
  readonly mqtt: MqttDevice;
  readonly twin: TwinLedger;
  readonly c2d: C2dLedger;
  readonly #promises: Promises;
  readonly #random: SeededRandom;
  readonly #standing: Map<string, Standing>;
  #hasSession = false;
  #life: Life | undefined;
  #asked: { packetId: number; filters: readonly string[]; to: "on" | "off" } | undefined;
  #held: { id: string; receipt: number }[] = [];
  #notified = 1;
  #rid = 0;
  readonly #answers = new Set<string>();
  /** Reports sent with QoS 1, by packet identifier. */
  readonly #reports = new Map<number, number>();

  constructor(id: string, key: string, promises: Promises, random: SeededRandom) {
    this.mqtt = new MqttDevice(id, key);
    this.twin = new TwinLedger(promises, id);
    this.c2d = new C2dLedger(promises, id);
    this.#promises = promises;
    this.#random = random;
    this.#standing = new Map(
      [twinResponsesFilter, desiredFilter, methodsFilter, c2dFilter({ deviceId: id })].map(
        (filter) => [filter, "off"],
      ),
    );
    this.mqtt.onEffect = (effect) => this.#onEffect(effect);
  }

  get id(): string {
    return this.mqtt.id;
  }

  /** Connects without a SUBSCRIBE. */
  async connect(hub: HubAddress, life: Life): Promise<void> {
    this.#life = life;
    this.#held = [];
    this.#asked = undefined;
    this.c2d.lifeBegins();
    const present = await this.mqtt.connect(hub);
    if (this.#hasSession && !present) this.#promises.broke(`${this.id} has lost its session`);
  }

  /** Everything the hub promised about this device, asked for without subscribing again. */
  async verify(backEnd: BackEnd): Promise<void> {
    await this.readTwin(backEnd);
    await this.#verifyDesired(backEnd);
    await this.#verifyMethods(backEnd);
    if (this.#standing.get(c2dFilter({ deviceId: this.id })) !== "on") return;
    if (this.c2d.outstanding < outstandingMax) await this.sendC2d(backEnd);
    await this.#until(
      () => `${this.id} is delivered ${this.c2d.due.join(", ")}`,
      () => this.c2d.due.length === 0,
    );
  }

  async readTwin(backEnd: BackEnd): Promise<void> {
    const check = this.twin.reading();
    const twin = (await backEnd.ok("GET", `/twins/${this.id}`)) as {
      properties: { desired: SectionView; reported: SectionView };
    };
    check(twin.properties);
  }

  async patchDesired(backEnd: BackEnd): Promise<number> {
    const n = this.twin.next("desired");
    const body = { properties: { desired: { n } } };
    const twin = (await backEnd.ok("PATCH", `/twins/${this.id}`, body)) as {
      properties: { desired: SectionView };
    };
    this.twin.answered("desired", n);
    this.twin.told("desired", twin.properties.desired.$version, n);
    this.#life?.event("twin");
    return twin.properties.desired.$version;
  }

  /** A reported patch, QoS 0 or 1; resolves when the hub answered. */
  async report(): Promise<void> {
    const n = this.twin.next("reported");
    const rid = `r${n}`;
    const qos = this.#random.chance(0.5) ? 1 : 0;
    const packetId = this.mqtt.publish(twinReportTopic(rid), JSON.stringify({ n }), qos);
    if (qos === 1) this.#reports.set(packetId, n);
    await this.#until(
      () => `the report ${n} of ${this.id} is answered`,
      () => this.#answers.has(rid),
    );
  }

  async sendC2d(backEnd: BackEnd): Promise<void> {
    if (this.c2d.outstanding >= outstandingMax) return this.countC2d(backEnd);
    const id = this.c2d.next();
    await backEnd.send(this.id, id);
    this.c2d.accepted(id);
    this.#life?.event("c2d");
  }

  async countC2d(backEnd: BackEnd): Promise<void> {
    const device = (await backEnd.ok("GET", `/devices/${this.id}`)) as {
      cloudToDeviceMessageCount: number;
    };
    this.c2d.counted(device.cloudToDeviceMessageCount);
  }

  /** Acknowledges everything it holds, and sees the queue become empty. */
  async drainC2d(backEnd: BackEnd): Promise<void> {
    while (this.c2d.outstanding > 0) {
      this.#ackHeld(0);
      await this.countC2d(backEnd);
    }
  }

  async subscribeToAll(): Promise<void> {
    await this.#ask([...this.#standing.keys()], "on");
  }

  /** Turns a filter on or off; not that of twin answers, by which everything is checked. */
  async changeSubscription(): Promise<void> {
    const [, ...others] = this.#standing.keys();
    const filter = this.#random.pick(others);
    await this.#ask([filter], this.#standing.get(filter) === "on" ? "off" : "on");
  }

  async #ask(filters: readonly string[], to: "on" | "off"): Promise<void> {
    for (const filter of filters) {
      if (this.#standing.get(filter) !== to) this.#standing.set(filter, "doubt");
    }
    const packetId = to === "on" ? this.mqtt.subscribe(filters) : this.mqtt.unsubscribe(filters);
    const asked = { packetId, filters, to };
    this.#asked = asked;
    await this.#until(
      () => `${this.id} is answered ${to} for ${filters.join(", ")}`,
      () => this.#asked !== asked,
    );
  }

  async #verifyDesired(backEnd: BackEnd): Promise<void> {
    const standing = this.#standing.get(desiredFilter);
    const before = this.#notified;
    const version = await this.patchDesired(backEnd);
    if (standing === "on") {
      await this.#until(
        () => `${this.id} is notified of desired version ${version}`,
        () => this.#notified >= version,
      );
    }
    // The answer comes behind any notification of the patch before it.
    if (standing !== "off" || this.#standing.get(twinResponsesFilter) !== "on") return;
    const rid = `g${++this.#rid}`;
    this.mqtt.publish(twinGetTopic(rid), "", 0);
    await this.#until(
      () => `${this.id} is answered its twin`,
      () => this.#answers.has(rid),
    );
    if (this.#notified !== before) {
      this.#promises.broke(`${this.id} was notified of desired properties after its UNSUBACK`);
    }
  }

  async #verifyMethods(backEnd: BackEnd): Promise<void> {
    const standing = this.#standing.get(methodsFilter);
    const { status, json } = await this.invoke(backEnd);
    if (standing === "on" && status !== 200) {
      this.#promises.broke(`a method of ${this.id} answered ${status}: ${JSON.stringify(json)}`);
    }
    if (standing === "off" && status === 200) {
      this.#promises.broke(`${this.id} was sent a method after its UNSUBACK`);
    }
  }

  invoke(backEnd: BackEnd): Promise<{ status: number; json: unknown }> {
    const call = { methodName: "echo", payload: this.id, responseTimeoutInSeconds: 10 };
    return backEnd.call("POST", `/twins/${this.id}/methods`, call);
  }

  #until(what: () => string, isSo: () => boolean): Promise<void> {
    if (this.#life === undefined) throw new Error(`${this.id} never connected`);
    return this.#life.until(what, isSo);
  }

  #onEffect(effect: ClientEffect): void {
    if (effect.type === "message") this.#onMessage(effect);
    else if (effect.type === "published") {
      const n = this.#reports.get(effect.packetId);
      this.#reports.delete(effect.packetId);
      if (n !== undefined) this.twin.answered("reported", n);
    } else if (effect.type === "subscribed" || effect.type === "unsubscribed") {
      const asked = this.#asked;
      if (asked?.packetId !== effect.packetId) return;
      for (const filter of asked.filters) this.#standing.set(filter, asked.to);
      this.#hasSession = true;
      this.#asked = undefined;
      this.#life?.event("suback");
    }
    this.#life?.wake();
  }

  #onMessage(message: IncomingMessage): void {
    const topic = parseHubTopic(message.topic);
    const text = Buffer.from(payloadOf(message)).toString("utf8");
    if (topic.type === "c2d") {
      const wasAcked = this.c2d.received(text);
      if (wasAcked) this.mqtt.ack(message.receipt);
      else this.#held.push({ id: text, receipt: message.receipt });
      this.#ackHeld(this.#random.int(heldMax));
      this.#life?.event("c2d");
      return;
    }
    this.mqtt.ack(message.receipt);
    if (topic.type === "method") {
      this.mqtt.publish(methodResponseTopic(200, topic.rid), text, 0);
    } else if (topic.type === "desired") {
      const { n = 0 } = JSON.parse(text) as { n?: number };
      if (topic.version <= this.#notified) {
        this.#promises.broke(
          `${this.id} was notified of desired version ${topic.version} after ${this.#notified}`,
        );
      }
      this.#notified = topic.version;
      this.twin.told("desired", topic.version, n);
    } else if (topic.type === "twinResponse") {
      this.#answers.add(topic.rid);
      const n = Number(topic.rid.slice(1));
      if (!topic.rid.startsWith("r")) return;
      if (topic.status !== 204) {
        this.#promises.broke(`report ${n} of ${this.id} was answered ${topic.status}: ${text}`);
        return;
      }
      this.twin.answered("reported", n);
      this.twin.told("reported", topic.version ?? 0, n);
      this.#life?.event("twin");
    }
  }

  #ackHeld(keep: number): void {
    while (this.#held.length > keep) {
      const { id, receipt } = this.#held.shift() as { id: string; receipt: number };
      this.mqtt.ack(receipt);
      this.c2d.acked(id);
    }
  }
}
