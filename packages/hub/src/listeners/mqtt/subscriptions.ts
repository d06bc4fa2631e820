import { IotError, parseDeviceFilter } from "@hubwire/protocol";
import type { Qos, SubackCode, TopicFilter } from "@hubwire/protocol";
import type { IdentityRef, Subscription, SubscriptionKind } from "../../domain/services.ts";

/** Filters one client may pile up in lenient mode, where the documented five are not enforced. */
const lenientFiltersMax = 100;

export type SubscribeRules = { strict: boolean; filtersMax: number };
export type SubscribeResult = {
  grants: SubackCode[];
  /** Kinds that were asked for and granted now, also when they were in force already. */
  granted: SubscriptionKind[];
  changed: boolean;
};

/** The filters of one connection and what they mean. */
export class Subscriptions {
  readonly #ref: IdentityRef;
  readonly #rules: SubscribeRules;
  readonly #byFilter = new Map<string, Subscription>();
  readonly #qosByKind = new Map<SubscriptionKind, Qos>();

  constructor(ref: IdentityRef, rules: SubscribeRules) {
    this.#ref = ref;
    this.#rules = rules;
  }

  /** The granted QoS, the highest if several filters mean the same; undefined when not subscribed. */
  qosOf(kind: SubscriptionKind): Qos | undefined {
    return this.#qosByKind.get(kind);
  }

  list(): readonly Subscription[] {
    return [...this.#byFilter.values()];
  }

  kinds(): readonly SubscriptionKind[] {
    return [...this.#qosByKind.keys()];
  }

  /** What a stored session brings along. */
  restore(subscriptions: readonly Subscription[]): void {
    for (const subscription of subscriptions) this.#byFilter.set(subscription.filter, subscription);
    this.#index();
  }

  /**
   * QoS 2 is granted as 1. A filter the hub does not serve ends the connection, or in lenient mode gets 0x80.
   * @throws IotError `topic.foreign_filter`, `topic.too_many_filters` (strict only)
   */
  subscribe(filters: readonly TopicFilter[]): SubscribeResult {
    const result: SubscribeResult = { grants: [], granted: [], changed: false };
    const { strict } = this.#rules;
    const filtersMax = strict ? this.#rules.filtersMax : lenientFiltersMax;
    for (const { filter, qos: asked } of filters) {
      const meaning = parseDeviceFilter(filter, this.#ref);
      if (meaning.type === "foreign") {
        if (strict) throw foreign(filter, meaning.why);
        result.grants.push(0x80);
        continue;
      }
      if (!this.#byFilter.has(filter) && this.#byFilter.size >= filtersMax) {
        if (strict) throw tooMany(filtersMax);
        result.grants.push(0x80);
        continue;
      }
      const qos = asked === 0 ? 0 : 1;
      const before = this.#byFilter.get(filter);
      if (before?.qos !== qos) result.changed = true;
      this.#byFilter.set(filter, { filter, kind: meaning.type, qos });
      result.grants.push(qos);
      result.granted.push(meaning.type);
    }
    this.#index();
    return result;
  }

  /** Whether anything changed; a filter nobody subscribed to is not an error. */
  unsubscribe(filters: readonly string[]): boolean {
    let changed = false;
    for (const filter of filters) changed = this.#byFilter.delete(filter) || changed;
    if (changed) this.#index();
    return changed;
  }

  #index(): void {
    this.#qosByKind.clear();
    for (const { kind, qos } of this.#byFilter.values()) {
      if (this.#qosByKind.get(kind) !== 1) this.#qosByKind.set(kind, qos);
    }
  }
}

const foreign = (filter: string, why: string): IotError =>
  new IotError("topic.foreign_filter", `Filter ${JSON.stringify(filter.slice(0, 200))}: ${why}`);

const tooMany = (filtersMax: number): IotError =>
  new IotError("topic.too_many_filters", `The connection has ${filtersMax} topic filters already`);
