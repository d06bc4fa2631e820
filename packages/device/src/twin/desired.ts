import { DesiredTracker, desiredFilter, parseJson, payloadOf } from "@hubwire/protocol";
import type {
  DesiredEffect,
  IncomingMessage,
  IotError,
  JsonObject,
  JsonValue,
} from "@hubwire/protocol";
import { closed, isIotError } from "../calls/errors.ts";
import { EventStream } from "../calls/event-stream.ts";
import type { Agenda, Machine } from "../connection/agenda.ts";
import type { Subscriptions } from "../connection/subscriptions.ts";
import type { Settings } from "../options/settings.ts";
import { patchBetween } from "./patch-between.ts";
import type { DesiredChange } from "./twin.ts";
import type { TwinRequests } from "./twin-requests.ts";

const what = "desiredProperties()";
/** Events held for a slow reader; beyond it what it has not read becomes one event, and nothing is missing. */
const bufferMax = 64;
/** After a GET that failed although connected (throttled, hub trouble, unusable answer). */
const retryAfterMs = 5_000;
const nothing: JsonObject = Object.freeze(Object.create(null) as JsonObject);

/**
 * Desired properties for everybody who reads `desiredProperties()`: the whole section first, then each change. After a
 * reconnect, or when a notification is missing, the twin is read again and the difference is given as one change.
 */
export class Desired implements Machine {
  readonly #settings: Settings;
  readonly #subscriptions: Subscriptions;
  readonly #requests: TwinRequests;
  readonly #agenda: Agenda;
  readonly #tracker = new DesiredTracker();
  /** Readers, and whether they had their first event. */
  readonly #readers = new Map<EventStream<DesiredChange>, boolean>();
  /** The section before an event: what a merged event is made from. */
  readonly #before = new WeakMap<DesiredChange, JsonObject>();
  /** What the readers last heard. */
  #told: { desired: JsonObject; version: number } = { desired: nothing, version: 0 };
  /** On this connection the section is followed: from the first GET on. */
  #following = false;
  #asking: AbortController | undefined;
  #retryAtMs = Infinity;
  #closed = false;

  constructor(
    settings: Settings,
    subscriptions: Subscriptions,
    requests: TwinRequests,
    agenda: Agenda,
  ) {
    this.#settings = settings;
    this.#subscriptions = subscriptions;
    this.#requests = requests;
    this.#agenda = agenda;
    agenda.add(this);
  }

  changes(signal: AbortSignal | undefined): AsyncIterableIterator<DesiredChange, undefined> {
    const stream: EventStream<DesiredChange> = new EventStream<DesiredChange>({
      what,
      signal,
      bufferMax,
      onOverflow: (buffer, change) => {
        buffer.splice(0, buffer.length, this.#merged(buffer[0] as DesiredChange, change));
      },
      onDone: () => this.#readers.delete(stream),
    });
    if (this.#closed) stream.fail(closed(what));
    if (!stream.isOpen) return stream;
    this.#readers.set(stream, false);
    this.#subscriptions.need({
      filter: desiredFilter,
      qos: 0,
      onGranted: () => this.#follow(),
      onRefused: (error) => this.#fail(error),
    });
    if (!this.#following) {
      if (this.#subscriptions.granted(desiredFilter)) this.#follow();
    } else if (!this.#tracker.waiting) this.#begin(stream);
    return stream;
  }

  received(message: IncomingMessage, version: number): void {
    if (!this.#following) return;
    let effects: readonly DesiredEffect[];
    try {
      effects = this.#tracker.notified(frozen(parseJson(payloadOf(message))), version);
    } catch {
      // A notification that cannot be read is one that is missing.
      effects = this.#tracker.waiting ? [] : this.#tracker.restart();
    }
    this.#apply(effects);
  }

  disconnected(): void {
    this.#following = false;
    this.#asking?.abort();
    this.#asking = undefined;
    this.#retryAtMs = Infinity;
  }

  close(): void {
    this.#closed = true;
    this.disconnected();
    for (const reader of this.#readers.keys()) reader.end();
  }

  get deadlineMs(): number {
    return this.#retryAtMs;
  }

  tick(nowMs: number): void {
    if (nowMs < this.#retryAtMs) return;
    this.#retryAtMs = Infinity;
    this.#get();
  }

  /** Subscribed on this connection: read the twin, hold what arrives meanwhile. Not while nobody wants to know. */
  #follow(): void {
    if (this.#readers.size === 0) return;
    this.#following = true;
    this.#apply(this.#tracker.restart());
  }

  #apply(effects: readonly DesiredEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "get") this.#get();
      else if (effect.type === "patch") this.#tell(effect.patch, effect.desired, effect.version);
      else {
        const patch = patchBetween(this.#told.desired, effect.desired);
        this.#tell(patch, effect.desired, effect.version);
      }
    }
  }

  /** A snapshot that says what is known already is news only to readers that have heard nothing yet. */
  #tell(patch: JsonObject, desired: JsonObject, version: number): void {
    const { desired: before, version: versionBefore } = this.#told;
    this.#told = { desired: frozen(desired), version };
    const change = { patch: frozen(patch), desired, version };
    this.#before.set(change, before);
    const isNews = version !== versionBefore || Object.keys(patch).length > 0;
    for (const [reader, hasBegun] of this.#readers) {
      if (!hasBegun) this.#begin(reader);
      else if (isNews) reader.push(change);
    }
  }

  #begin(reader: EventStream<DesiredChange>): void {
    const { desired, version } = this.#told;
    const first = { patch: desired, desired, version };
    this.#before.set(first, nothing);
    this.#readers.set(reader, true);
    reader.push(first);
  }

  #merged(oldest: DesiredChange, latest: DesiredChange): DesiredChange {
    const before = this.#before.get(oldest) ?? nothing;
    const patch = patchBetween(before, latest.desired);
    const merged = { patch: frozen(patch), desired: latest.desired, version: latest.version };
    this.#before.set(merged, before);
    return merged;
  }

  #get(): void {
    const asking = new AbortController();
    this.#asking = asking;
    this.#requests.get(what, { signal: asking.signal }).then(
      ({ body }) => {
        if (this.#asking === asking) this.#answered(body);
      },
      (error: unknown) => {
        if (this.#asking === asking) this.#failed(error);
      },
    );
  }

  #answered(body: JsonValue): void {
    this.#asking = undefined;
    try {
      this.#apply(this.#tracker.answered(body));
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#asking = undefined;
    const final = isIotError(error) && finalCodes.has(error.code) ? error : undefined;
    if (final !== undefined) return this.#fail(final);
    this.#retryAtMs = this.#settings.clock.nowMs() + retryAfterMs;
    this.#agenda.expect(this.#retryAtMs);
  }

  #fail(error: IotError): void {
    this.#following = false;
    for (const reader of this.#readers.keys()) reader.fail(error);
  }
}

/** The next try would get the same answer. */
const finalCodes: ReadonlySet<string> = new Set([
  "device.subscription_refused",
  "device.twin_refused",
]);

/** Readers share documents with each other and with the tracker, so nobody may change them. */
function frozen<T extends JsonValue>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) frozen(member as JsonValue);
  return Object.freeze(value);
}
