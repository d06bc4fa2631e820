import {
  checkSection,
  checkSize,
  composePatches,
  IotError,
  mergePatch,
  twinReportedSizeMax,
} from "@hubwire/protocol";
import type { JsonObject } from "@hubwire/protocol";
import { closed, isIotError, timedOut } from "../calls/errors.ts";
import { PendingCall } from "../calls/pending-call.ts";
import type { Agenda, Machine } from "../connection/agenda.ts";
import { checkNumber } from "../options/bounds.ts";
import type { Settings } from "../options/settings.ts";
import { patchBetween } from "./patch-between.ts";
import { readTwin } from "./twin.ts";
import type { TwinFeed } from "./twin-cache.ts";
import type { ReportOptions, TwinRequests } from "./twin-requests.ts";

const what = "reportProperties";
/** Reports waiting at a time, and what they may weigh as JSON. */
const waitingMax = 1_000;
const waitingBytesMax = 4 * 1024 * 1024;
/** After the hub refused for a passing reason (429, 409): doubled each time, a random part of it. */
const holdFirstMs = 10_000;
const holdMaxMs = 60_000;
/** The callers' own deadlines come first. */
const carriedForMs = 86_400_000;

type Part = {
  readonly patch: JsonObject;
  readonly bytes: number;
  readonly call: PendingCall<{ version: number }>;
  readonly ifVersion: number | undefined;
  /** To be sent by itself, because together with others it was refused. */
  alone: boolean;
};

type Carriage = {
  readonly parts: readonly Part[];
  readonly patch: JsonObject;
  stop: AbortController;
};

/**
 * Reported patches on their way: one request at a time, in the order of the calls. What is reported meanwhile, or while there
 * is no connection, is merged into as few requests as give the same result, and each caller gets the version of the one that
 * carried its patch.
 *
 * - Lost answer: the patch is sent again. That is safe without asking the hub, because a merge patch applied twice is the
 *   patch and no later one was sent in between; only `$version` grows once more. A patch for a certain version (`ifVersion`)
 *   is not safe to repeat: there the twin is read, and its version and content tell whether the patch had arrived.
 * - 429, and a conflict nobody asked about (409, 412): sent again after a while, together with what came meanwhile.
 * - Refused although several patches went together: sent one by one, so that only the culprit's caller is told.
 */
export class Reports implements Machine {
  readonly #settings: Settings;
  readonly #requests: TwinRequests;
  readonly #agenda: Agenda;
  readonly #cache: TwinFeed;
  /** Told when the copy of reported misses something. */
  readonly #onGap: () => void;
  #queue: Part[] = [];
  #queueBytes = 0;
  #carriage: Carriage | undefined;
  #holdUntilMs = 0;
  #holds = 0;
  #lastRefusal: IotError | undefined;
  #closed = false;

  constructor(
    settings: Settings,
    requests: TwinRequests,
    agenda: Agenda,
    cache: TwinFeed,
    onGap: () => void,
  ) {
    this.#settings = settings;
    this.#requests = requests;
    this.#agenda = agenda;
    this.#cache = cache;
    this.#onGap = onGap;
    requests.onReady = () => this.#pump();
    requests.onRefused = (error) => this.#rejectAll(error);
    agenda.add(this);
  }

  /** Reports that have no answer yet. */
  get open(): boolean {
    return this.#carriage !== undefined || this.#queue.length > 0;
  }

  /** @throws IotError `twin.*`, `argument.invalid`: nothing was sent */
  report(
    given: Readonly<Record<string, unknown>>,
    options: ReportOptions,
  ): Promise<{ version: number }> {
    if (this.#closed) throw closed(what);
    const patch = checkSection(given, "The reported patch");
    checkSize(mergePatch(undefined, patch), twinReportedSizeMax, "The reported properties");
    const { callTimeoutMs, clock } = this.#settings;
    const { timeoutMs = callTimeoutMs, signal, ifVersion } = options;
    checkNumber("timeoutMs", timeoutMs, 1, 86_400_000);
    if (ifVersion !== undefined) checkNumber("ifVersion", ifVersion, 0, Number.MAX_SAFE_INTEGER);
    const bytes = Buffer.byteLength(JSON.stringify(patch));
    if (this.#queue.length >= waitingMax || this.#queueBytes + bytes > waitingBytesMax) {
      throw new IotError("device.queue_full", `${this.#queue.length} reports wait already`);
    }
    const nowMs = clock.nowMs();
    const call = new PendingCall<{ version: number }>(what, nowMs, timeoutMs, signal);
    if (call.settled) return call.promise;
    const part = { patch, bytes, call, ifVersion, alone: false };
    this.#queue.push(part);
    this.#queueBytes += bytes;
    const left = (): void => this.#left();
    call.promise.then(left, left);
    this.#agenda.expect(call.deadlineMs);
    this.#requests.subscribe();
    this.#pump();
    return call.promise;
  }

  close(): void {
    this.#closed = true;
    this.#rejectAll(closed(what));
  }

  get deadlineMs(): number {
    let nextMs = this.#queue.length > 0 && this.#holds > 0 ? this.#holdUntilMs : Infinity;
    if (this.#carriage !== undefined || !this.#requests.ready) nextMs = Infinity;
    for (const { call } of this.#all()) {
      if (!call.settled) nextMs = Math.min(nextMs, call.deadlineMs);
    }
    return nextMs;
  }

  tick(nowMs: number): void {
    for (const part of this.#all()) {
      const { call } = part;
      if (call.settled || call.deadlineMs > nowMs) continue;
      const isSent = this.#carriage?.parts.includes(part) === true && this.#requests.open;
      const cause = this.#lastRefusal;
      const options = cause === undefined ? undefined : { cause };
      const state = isSent ? "sent, not answered" : "not sent";
      call.reject(timedOut(`${what} (${state})`, call.timeoutMs, options));
    }
    this.#pump();
  }

  *#all(): Generator<Part> {
    if (this.#carriage !== undefined) yield* this.#carriage.parts;
    yield* this.#queue;
  }

  #rejectAll(error: IotError): void {
    for (const { call } of this.#all()) call.reject(error);
    this.#dropSettled();
  }

  /** A caller has its answer, or gave up. */
  #left(): void {
    this.#dropSettled();
    const carriage = this.#carriage;
    // Nobody waits for it any more; what waits behind it may go.
    if (carriage?.parts.every(({ call }) => call.settled)) carriage.stop.abort();
  }

  #dropSettled(): void {
    if (!this.#queue.some(({ call }) => call.settled)) return;
    this.#setQueue(this.#queue.filter(({ call }) => !call.settled));
  }

  #setQueue(queue: Part[]): void {
    this.#queue = queue;
    this.#queueBytes = queue.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #pump(): void {
    const nowMs = this.#settings.clock.nowMs();
    if (this.#carriage !== undefined || !this.#requests.ready) return;
    if (nowMs < this.#holdUntilMs) return this.#agenda.expect(this.#holdUntilMs);
    this.#dropSettled();
    const [first] = this.#queue;
    if (first === undefined) return;
    const { parts, patch } = together(this.#queue);
    this.#setQueue(this.#queue.slice(parts.length));
    const known = this.#cache.surelyReported();
    if (known !== undefined) {
      try {
        checkSize(mergePatch(known, patch), twinReportedSizeMax, "The reported properties");
      } catch (error) {
        this.#refused(parts, error as IotError);
        return this.#pump();
      }
    }
    this.#carry({ parts, patch, stop: new AbortController() }, first.ifVersion);
  }

  #carry(carriage: Carriage, ifVersion: number | undefined): void {
    this.#carriage = carriage;
    const bytes = Buffer.from(JSON.stringify(carriage.patch), "utf8");
    const { signal } = carriage.stop;
    this.#requests.report(what, { signal, timeoutMs: carriedForMs, ifVersion }, bytes).then(
      ({ version }) => {
        this.#carriage = undefined;
        this.#accepted(carriage, version);
        this.#pump();
      },
      (error: unknown) => {
        if (
          isIotError(error) &&
          ifVersion !== undefined &&
          error.code === "device.connection_lost"
        ) {
          return void this.#findOut(carriage, ifVersion);
        }
        this.#carriage = undefined;
        this.#failed(carriage, error as IotError);
        this.#pump();
      },
    );
  }

  #accepted({ parts, patch }: Carriage, version: number | undefined): void {
    this.#holds = 0;
    this.#lastRefusal = undefined;
    if (version === undefined) {
      const text = `${what}: the hub took it and did not tell the $version`;
      for (const { call } of parts) call.reject(new IotError("twin.bad_answer", text));
      return;
    }
    if (!this.#cache.accepted(patch, version)) this.#onGap();
    for (const { call } of parts) call.resolve({ version });
  }

  #failed({ parts }: Carriage, error: IotError): void {
    const isConflict = error.code === "device.twin_conflict" && parts[0]?.ifVersion === undefined;
    if (error.code === "device.twin_throttled" || isConflict) return this.#hold(parts, error);
    this.#refused(parts, error);
  }

  /** Later, and before everything that was reported after it. */
  #hold(parts: readonly Part[], error: IotError): void {
    const { clock, random } = this.#settings;
    const waitMs = Math.min(holdMaxMs, holdFirstMs * 2 ** Math.min(this.#holds, 10));
    this.#holds += 1;
    this.#lastRefusal = error;
    this.#holdUntilMs = clock.nowMs() + waitMs * (0.5 + random() / 2);
    this.#setQueue([...parts, ...this.#queue]);
    this.#agenda.expect(this.#holdUntilMs);
  }

  #refused(parts: readonly Part[], error: IotError): void {
    const isTheirs = error.code === "device.twin_refused" || error.code.startsWith("twin.");
    if (parts.length === 1 || !isTheirs) {
      for (const { call } of parts) call.reject(error);
      return;
    }
    for (const part of parts) part.alone = true;
    this.#setQueue([...parts, ...this.#queue]);
  }

  /** A patch for a certain version was sent, and its answer lost: the twin knows whether it arrived. */
  async #findOut(carriage: Carriage, ifVersion: number): Promise<void> {
    const [part] = carriage.parts as readonly [Part];
    const { signal } = carriage.stop;
    try {
      const { body } = await this.#requests.get(what, { signal, timeoutMs: carriedForMs });
      const { reported, reportedVersion } = readTwin(body);
      const changes = patchBetween(reported, mergePatch(reported, part.patch));
      const isThere = reportedVersion === ifVersion + 1 && Object.keys(changes).length === 0;
      if (reportedVersion === ifVersion) this.#setQueue([part, ...this.#queue]);
      else if (isThere) part.call.resolve({ version: reportedVersion });
      else {
        const text = `${what}: the reported properties are at version ${reportedVersion}, not ${ifVersion}`;
        part.call.reject(new IotError("device.twin_conflict", text));
      }
    } catch (error) {
      part.call.reject(error as IotError);
    }
    this.#carriage = undefined;
    this.#pump();
  }
}

/** As many from the front as one patch can carry. */
function together(queue: readonly Part[]): { parts: readonly Part[]; patch: JsonObject } {
  const [first, ...others] = queue as readonly [Part, ...Part[]];
  const parts = [first];
  let { patch } = first;
  const isSingle = (part: Part): boolean => part.alone || part.ifVersion !== undefined;
  if (isSingle(first)) return { parts, patch };
  for (const part of others) {
    if (isSingle(part)) break;
    const composed = composePatches(patch, part.patch);
    if (composed === undefined || !fits(composed)) break;
    patch = composed;
    parts.push(part);
  }
  return { parts, patch };
}

/** Together they could be too large although one after the other some of them are not. */
function fits(patch: JsonObject): boolean {
  try {
    checkSize(mergePatch(undefined, patch), twinReportedSizeMax, "The reported properties");
    return true;
  } catch {
    return false;
  }
}
