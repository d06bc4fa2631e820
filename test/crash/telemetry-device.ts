import { telemetryTopic, type ClientEffect } from "@hubwire/protocol";
import type { HubAddress } from "./hub-process.ts";
import type { Life } from "./life.ts";
import { MqttDevice } from "./mqtt-device.ts";
import { telemetryBody, type TelemetryLedger } from "./telemetry-ledger.ts";

/** Keeps its window full of numbered messages. */
export class TelemetryDevice {
  readonly mqtt: MqttDevice;
  readonly #ledger: TelemetryLedger;
  readonly #topic: string;
  readonly #inflight = new Map<number, number>();
  #life: Life | undefined;
  #left = 0;
  #window = 0;

  constructor(id: string, key: string, ledger: TelemetryLedger) {
    this.mqtt = new MqttDevice(id, key);
    this.#ledger = ledger;
    this.#topic = telemetryTopic({ deviceId: id });
    this.mqtt.onEffect = (effect) => this.#onEffect(effect);
  }

  /** What was not acknowledged in the life before is sent again at once. */
  async connect(hub: HubAddress, life: Life): Promise<void> {
    this.#life = life;
    this.#left = 0;
    await this.mqtt.connect(hub);
  }

  /** Sends so many messages as fast as they are acknowledged, `window` of them under way. */
  load(messages: number, window: number): void {
    this.#left = messages;
    this.#window = window;
    this.#pump();
  }

  get isDone(): boolean {
    return this.#left === 0 && this.#inflight.size === 0;
  }

  #pump(): void {
    const { session } = this.mqtt;
    while (this.#left > 0 && session.connected && session.inflight < this.#window) {
      this.#left -= 1;
      const n = this.#ledger.next(this.mqtt.id);
      this.#inflight.set(this.mqtt.publish(this.#topic, telemetryBody(this.mqtt.id, n), 1), n);
    }
  }

  #onEffect(effect: ClientEffect): void {
    if (effect.type !== "published") return;
    const n = this.#inflight.get(effect.packetId);
    if (n === undefined) return;
    this.#inflight.delete(effect.packetId);
    this.#ledger.ack(this.mqtt.id, n);
    this.#life?.event("puback");
    this.#pump();
  }
}
