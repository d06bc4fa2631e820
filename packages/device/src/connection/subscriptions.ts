import { IotError } from "@hubwire/protocol";
import type { SubackCode, TopicFilter } from "@hubwire/protocol";
import type { Settings } from "../options/settings.ts";
import type { Agenda, Machine } from "./agenda.ts";
import type { Uplink } from "./uplink.ts";

/** A feature's need for one topic filter. */
export type Need = TopicFilter & {
  /** The hub delivers now; called after each connect. */
  onGranted: (nowMs: number) => void;
  /** The hub answered 0x80. It is asked again when somebody needs it again, and after the next connect. */
  onRefused: (error: IotError) => void;
};

type Asked = { needs: Need[]; deadlineMs: number };

/**
 * The topic filters this device needs, asked for anew on every connection: where the hub kept the session that changes
 * nothing, where it did not it is necessary. At most five are ever needed, and IoT Hub allows five.
 */
export class Subscriptions implements Machine {
  readonly #settings: Settings;
  readonly #uplink: Uplink;
  readonly #agenda: Agenda;
  readonly #needs = new Map<string, Need>();
  readonly #granted = new Set<string>();
  readonly #refused = new Set<string>();
  readonly #asked = new Map<number, Asked>();

  constructor(settings: Settings, uplink: Uplink, agenda: Agenda) {
    this.#settings = settings;
    this.#uplink = uplink;
    this.#agenda = agenda;
    agenda.add(this);
  }

  /** Whether the hub granted it on this connection. */
  granted(filter: string): boolean {
    return this.#granted.has(filter);
  }

  /** From now on, on every connection. Repeating it is harmless. */
  need(need: Need): void {
    const wasRefused = this.#refused.delete(need.filter);
    if (this.#needs.has(need.filter) && !wasRefused) return;
    this.#needs.set(need.filter, need);
    this.#ask([need], this.#settings.clock.nowMs());
  }

  /** Not asked for on the next connection any more. */
  drop(filter: string): void {
    this.#needs.delete(filter);
  }

  connected(nowMs: number): void {
    if (this.#needs.size > 0) this.#ask([...this.#needs.values()], nowMs);
  }

  disconnected(): void {
    this.#granted.clear();
    this.#refused.clear();
    this.#asked.clear();
  }

  subscribed(packetId: number, codes: readonly SubackCode[], nowMs: number): void {
    const asked = this.#asked.get(packetId);
    if (asked === undefined) return;
    this.#asked.delete(packetId);
    for (const [i, need] of asked.needs.entries()) {
      if (codes[i] === 0x80) {
        const error = new IotError(
          "device.subscription_refused",
          `The hub did not grant ${need.filter}`,
        );
        this.#refused.add(need.filter);
        this.#uplink.note(error);
        need.onRefused(error);
      } else {
        this.#granted.add(need.filter);
        need.onGranted(nowMs);
      }
    }
  }

  get deadlineMs(): number {
    let nextMs = Infinity;
    for (const { deadlineMs } of this.#asked.values()) nextMs = Math.min(nextMs, deadlineMs);
    return nextMs;
  }

  tick(nowMs: number): void {
    if (nowMs < this.deadlineMs) return;
    const { retryIntervalMs } = this.#settings;
    const reason = `The hub did not answer a SUBSCRIBE for ${retryIntervalMs} ms`;
    this.#uplink.kill("device.ack_timeout", reason);
  }

  #ask(needs: Need[], nowMs: number): void {
    if (!this.#uplink.connected) return;
    const packetId = this.#uplink.session.subscribe(
      needs.map(({ filter, qos }) => ({ filter, qos })),
      nowMs,
    );
    const deadlineMs = nowMs + this.#settings.retryIntervalMs;
    this.#asked.set(packetId, { needs, deadlineMs });
    this.#agenda.expect(deadlineMs);
    this.#uplink.touch();
  }
}
