import { createHmac } from "node:crypto";
import {
  buildSasToken,
  ClientSession,
  formatMqttUsername,
  sasResource,
  type ClientEffect,
} from "@hubwire/protocol";
import { Driver, systemClock, tlsConnector } from "@hubwire/transport";
import type { HubAddress } from "./hub-process.ts";

const clock = systemClock();
/** QoS 1 messages under way to the hub at a time. */
export const inflightMax = 50;

/**
 * A device that does exactly what it is told: one MQTT session over any number of connections, always with clean=0, and
 * no SUBSCRIBE of its own. What was not acknowledged is sent again on the next connection, as MQTT demands.
 */
export class MqttDevice {
  readonly id: string;
  readonly key: string;
  readonly session = new ClientSession({
    packetBytesMax: 1024 * 1024,
    inflightMax,
    connackTimeoutMs: 20_000,
  });
  onEffect: (effect: ClientEffect) => void = () => {};
  #driver: Driver<ClientEffect> | undefined;
  #ended = Promise.resolve();

  constructor(id: string, key: string) {
    this.id = id;
    this.key = key;
  }

  /** Resolves at CONNACK with whether the hub has the session. */
  async connect(hub: HubAddress): Promise<boolean> {
    const open = tlsConnector({
      host: "127.0.0.1",
      servername: "localhost",
      port: hub.mqttPort,
      ca: hub.caPem,
    });
    const token = await buildSasToken(
      {
        resource: sasResource("localhost", { deviceId: this.id }),
        expiresAtS: Math.floor(Date.now() / 1000) + 3600,
      },
      (text) =>
        Promise.resolve(
          createHmac("sha256", Buffer.from(this.key, "base64")).update(text).digest("base64"),
        ),
    );
    const stream = await open(new AbortController().signal);
    this.session.connect(
      {
        clientId: this.id,
        username: formatMqttUsername({ hostName: "localhost", deviceId: this.id }),
        password: Buffer.from(token),
        cleanSession: false,
        keepAliveS: 60,
        will: undefined,
      },
      clock.nowMs(),
    );
    let ended = (): void => {};
    this.#ended = new Promise((resolve) => (ended = resolve));
    return new Promise((resolve, reject) => {
      this.#driver = new Driver<ClientEffect>({
        session: this.session,
        stream,
        clock,
        onEffects: (effects) => {
          for (const effect of effects) {
            if (effect.type === "connected") resolve(effect.sessionPresent);
            this.onEffect(effect);
          }
        },
        onClosed: (cause) => {
          this.session.lost(clock.nowMs());
          this.#driver = undefined;
          reject(new Error(`${this.id} lost its connection: ${JSON.stringify(cause)}`));
          ended();
        },
      });
      this.#driver.start();
    });
  }

  /** The packet identifier; 0 for QoS 0. */
  publish(topic: string, body: string | Uint8Array, qos: 0 | 1): number {
    const payload = typeof body === "string" ? Buffer.from(body) : body;
    const packetId = this.session.publish({ topic, payload, qos }, clock.nowMs());
    this.#driver?.touch();
    return packetId;
  }

  subscribe(filters: readonly string[]): number {
    const packetId = this.session.subscribe(
      filters.map((filter) => ({ filter, qos: 1 as const })),
      clock.nowMs(),
    );
    this.#driver?.touch();
    return packetId;
  }

  unsubscribe(filters: readonly string[]): number {
    const packetId = this.session.unsubscribe(filters, clock.nowMs());
    this.#driver?.touch();
    return packetId;
  }

  /** PUBACK. */
  ack(receipt: number): void {
    this.session.ack(receipt);
    this.#driver?.touch();
  }

  /** Resolves when everything the hub ever said on the last connection has been heard. */
  ended(): Promise<void> {
    return this.#ended;
  }
}
