import {
  DesiredTracker,
  desiredFilter,
  isJsonObject,
  mayBeReplacement,
  parseJson,
  payloadOf,
} from "@hubwire/protocol";
import type {
  DesiredEffect,
  IncomingMessage,
  IotError,
  JsonObject,
  JsonValue,
} from "@hubwire/protocol";
import { closed, isIotError, timedOut } from "../calls/errors.ts";
import { EventStream } from "../calls/event-stream.ts";
import { PendingCall } from "../calls/pending-call.ts";
import type { CallOptions } from "../calls/pending-call.ts";
import type { Agenda, Machine } from "../connection/agenda.ts";
import type { Subscriptions } from "../connection/subscriptions.ts";
import { channels } from "../observe/channels.ts";
import { checkNumber } from "../options/bounds.ts";
import type { Settings } from "../options/settings.ts";
import { frozen } from "./frozen.ts";
import { patchBetween } from "./patch-between.ts";
import { readTwin } from "./twin.ts";
import type { DesiredChange } from "./twin.ts";
import type { TwinFeed } from "./twin-cache.ts";
import type { TwinRequests } from "./twin-requests.ts";

const what = "desiredProperties()";
const keepWhat = "followTwin";
/** Events held for a slow reader; beyond it what it has not read becomes one event, and nothing is missing. */
const bufferMax = 64;
/** After a GET that failed although connected (throttled, hub trouble, unusable answer). */
const retryAfterMs = 5_000;
/** How long after a notification that may have been a replacement the twin is read; a random part more. */
const confirmAfterMs = 2_000;
const confirmSpreadMs = 3_000;
const nothing: JsonObject = Object.freeze(Object.create(null) as JsonObject);

/**
 * Desired properties for everybody who reads `desiredProperties()`: the whole section first, then each change. After a
 * reconnect, or when a notification is missing, the twin is read again and the difference is given as one change. So it is
 * after a notification that may have been a replacement, which looks like a patch and may have removed something.
 */
export class Desired implements Machine {
  readonly #settings: Settings;
  readonly #subscriptions: Subscriptions;
  readonly #requests: TwinRequests;
  readonly #agenda: Agenda;
  readonly #cache: TwinFeed;
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
  #confirmAtMs = Infinity;
  #closed = false;
  /** Followed also without readers, for the cache. */
  #kept = false;
  /** Who waits for the section on this connection. */
  readonly #awaiting = new Set<PendingCall<void>>();

  constructor(
    settings: Settings,
    subscriptions: Subscriptions,
    requests: TwinRequests,
    agenda: Agenda,
    cache: TwinFeed,
  ) {
    this.#settings = settings;
    this.#cache = cache;
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
    this.#start();
    if (this.#known) this.#begin(stream);
    return stream;
  }

  /** Follows from now on, with or without readers. @returns fulfilled as soon as the section is known on a connection */
  keep(options: CallOptions): Promise<void> {
    if (this.#closed) return Promise.reject(closed(keepWhat));
    const { callTimeoutMs, clock } = this.#settings;
    const { timeoutMs = callTimeoutMs, signal } = options;
    checkNumber("timeoutMs", timeoutMs, 1, 86_400_000);
    const call = new PendingCall<void>(keepWhat, clock.nowMs(), timeoutMs, signal);
    if (call.settled) return call.promise;
    this.#kept = true;
    this.#awaiting.add(call);
    const forget = (): void => void this.#awaiting.delete(call);
    call.promise.then(forget, forget);
    this.#agenda.expect(call.deadlineMs);
    this.#start();
    if (this.#known) call.resolve();
    return call.promise;
  }

  /** The twin was read for somebody else: that may show that a notification is missing. */
  read(body: JsonValue): void {
    if (!this.#known) return;
    const section = isJsonObject(body) ? body["desired"] : undefined;
    const version = isJsonObject(section) ? section["$version"] : undefined;
    if (typeof version === "number" && version > this.#tracker.version) {
      this.#apply(this.#tracker.answered(body));
    }
  }

  /** Reads the twin again: something in it is not known here. */
  repair(): void {
    if (this.#known) this.#apply(this.#tracker.restart());
  }

  /** Followed, and no answer awaited. */
  get #known(): boolean {
    return this.#following && !this.#tracker.waiting;
  }

  #start(): void {
    this.#subscriptions.need({
      filter: desiredFilter,
      qos: 0,
      onGranted: () => this.#follow(),
      onRefused: (error) => this.#fail(error),
    });
    if (!this.#following && this.#subscriptions.granted(desiredFilter)) this.#follow();
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
    this.#confirmAtMs = Infinity;
  }

  close(): void {
    this.#closed = true;
    this.disconnected();
    for (const call of this.#awaiting) call.reject(closed(keepWhat));
    for (const reader of this.#readers.keys()) reader.end();
  }

  get deadlineMs(): number {
    let nextMs = Math.min(this.#retryAtMs, this.#confirmAtMs);
    for (const call of this.#awaiting) {
      if (!call.settled) nextMs = Math.min(nextMs, call.deadlineMs);
    }
    return nextMs;
  }

  tick(nowMs: number): void {
    for (const call of this.#awaiting) {
      if (nowMs >= call.deadlineMs) call.reject(timedOut(keepWhat, call.timeoutMs));
    }
    if (nowMs >= this.#retryAtMs) {
      this.#retryAtMs = Infinity;
      this.#get();
    }
    if (nowMs < this.#confirmAtMs) return;
    this.#confirmAtMs = Infinity;
    this.repair();
  }

  /** Subscribed on this connection: read the twin, hold what arrives meanwhile. Not while nobody wants to know. */
  #follow(): void {
    if (this.#readers.size === 0 && !this.#kept) return;
    this.#following = true;
    this.#apply(this.#tracker.restart());
  }

  #apply(effects: readonly DesiredEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "get") this.#get();
      else if (effect.type === "patch") this.#patched(effect.patch, effect.desired, effect.version);
      else {
        const patch = patchBetween(this.#told.desired, effect.desired);
        if (this.#told.version > 0 && Object.keys(patch).length > 0) this.#repaired();
        this.#tell(patch, effect.desired, effect.version);
      }
    }
  }

  #patched(patch: JsonObject, desired: JsonObject, version: number): void {
    const { confirmDesired, clock, random } = this.#settings;
    if (confirmDesired && mayBeReplacement(this.#told.desired, patch)) {
      // The first one counts: a service that writes all the time must not put it off for ever.
      const atMs = clock.nowMs() + confirmAfterMs + random() * confirmSpreadMs;
      this.#confirmAtMs = Math.min(this.#confirmAtMs, atMs);
      this.#agenda.expect(this.#confirmAtMs);
    }
    this.#tell(patch, desired, version);
  }

  #repaired(): void {
    const { stats } = this.#settings;
    stats.twinRepairs += 1;
    if (!channels.twin.hasSubscribers) return;
    channels.twin.publish({ device: stats.device, what: "repair", status: 0, tookMs: 0 });
  }

  /** A snapshot that says what is known already is news only to readers that have heard nothing yet. */
  #tell(patch: JsonObject, desired: JsonObject, version: number): void {
    const { desired: before, version: versionBefore } = this.#told;
    this.#told = { desired: frozen(desired), version };
    this.#cache.desired(desired, version);
    for (const call of this.#awaiting) call.resolve();
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
    // What it asks for includes what a confirmation would.
    this.#confirmAtMs = Infinity;
    try {
      const twin = readTwin(body);
      this.#apply(this.#tracker.answered(body));
      this.#cache.read(twin);
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
    for (const call of this.#awaiting) call.reject(error);
  }
}

/** The next try would get the same answer. */
const finalCodes: ReadonlySet<string> = new Set([
  "device.subscription_refused",
  "device.twin_refused",
]);
