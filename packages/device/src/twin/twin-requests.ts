import {
  IotError,
  isJsonObject,
  parseJson,
  payloadOf,
  twinGetTopic,
  twinReportTopic,
  twinResponsesFilter,
} from "@hubwire/protocol";
import type { HubTopic, IncomingMessage, JsonValue } from "@hubwire/protocol";
import { closed, timedOut } from "../calls/errors.ts";
import { PendingCall } from "../calls/pending-call.ts";
import type { CallOptions } from "../calls/pending-call.ts";
import type { Agenda, Machine } from "../connection/agenda.ts";
import type { Subscriptions } from "../connection/subscriptions.ts";
import type { Uplink } from "../connection/uplink.ts";
import { channels } from "../observe/channels.ts";
import { checkNumber } from "../options/bounds.ts";
import type { Settings } from "../options/settings.ts";

/** Requests waiting at a time. */
const waitingMax = 100;
const empty = new Uint8Array(0);

/** The answer to a request: the body of a GET, the new version after a report. */
export type TwinAnswer = { body: JsonValue; version: number | undefined };

type Request = {
  topic: string;
  payload: Uint8Array;
  call: PendingCall<TwinAnswer>;
  isGet: boolean;
  /** Whether it may be asked a second time when its answer was lost. */
  again: boolean;
  sent: boolean;
  sentMs: number;
};

/** How a report is sent. */
export type ReportOptions = CallOptions & {
  /** Only if the reported `$version` still is this; 412 otherwise. Such a report is not repeated by itself. */
  ifVersion?: number | undefined;
};

/**
 * Twin requests and their answers, matched by `$rid`. A request whose answer was lost with its connection is sent again on
 * the next one, in the order of the calls: reading again is harmless, and a merge patch applied twice is the patch, because
 * only one report is on its way at a time (see `Reports`). Only a report for a certain version is not repeated; it rejects
 * with `device.connection_lost`, and its sender finds out. An answer nobody waits for (late, repeated, invented) is dropped.
 *
 * Before each request the rate limit is asked; one that must wait holds back those behind it.
 */
export class TwinRequests implements Machine {
  readonly #settings: Settings;
  readonly #uplink: Uplink;
  readonly #subscriptions: Subscriptions;
  readonly #agenda: Agenda;
  /** By request id, in the order of the calls. */
  readonly #waiting = new Map<string, Request>();
  /** Two programs, or two lives of one program, must not answer each other's questions. */
  readonly #ridPrefix: string;
  #ridCount = 0;
  #closed = false;
  /** When the rate limit lets the next request go. */
  #gateMs = Infinity;
  /** Called when requests can be sent, on each connection. */
  onReady: (() => void) | undefined;
  /** Called when the hub does not grant the answers. */
  onRefused: ((error: IotError) => void) | undefined;

  constructor(settings: Settings, uplink: Uplink, subscriptions: Subscriptions, agenda: Agenda) {
    this.#settings = settings;
    this.#uplink = uplink;
    this.#subscriptions = subscriptions;
    this.#agenda = agenda;
    this.#ridPrefix = Math.floor(settings.random() * 2 ** 40).toString(36);
    agenda.add(this);
  }

  /** Requests on the way to their answer. */
  get open(): boolean {
    for (const request of this.#waiting.values()) if (request.sent) return true;
    return false;
  }

  /** Connected, and the hub will deliver answers. */
  get ready(): boolean {
    return this.#subscriptions.granted(twinResponsesFilter) && this.#uplink.connected;
  }

  get(what: string, options: CallOptions): Promise<TwinAnswer> {
    return this.#request(what, options, empty, true);
  }

  report(what: string, options: ReportOptions, patch: Uint8Array): Promise<TwinAnswer> {
    return this.#request(what, options, patch, false);
  }

  #request(
    what: string,
    options: ReportOptions,
    payload: Uint8Array,
    isGet: boolean,
  ): Promise<TwinAnswer> {
    if (this.#closed) return Promise.reject(closed(what));
    const { callTimeoutMs, clock } = this.#settings;
    const { timeoutMs = callTimeoutMs, signal } = options;
    checkNumber("timeoutMs", timeoutMs, 1, 86_400_000);
    if (this.#waiting.size >= waitingMax) {
      const error = new IotError("device.queue_full", `${waitingMax} twin requests wait already`);
      return Promise.reject(error);
    }
    const nowMs = clock.nowMs();
    const call = new PendingCall<TwinAnswer>(what, nowMs, timeoutMs, signal);
    if (call.settled) return call.promise;
    const rid = `${this.#ridPrefix}-${(this.#ridCount++).toString(36)}`;
    const { ifVersion } = options;
    const topic = isGet ? twinGetTopic(rid) : twinReportTopic(rid, ifVersion);
    const again = ifVersion === undefined;
    const request: Request = { topic, payload, call, isGet, again, sent: false, sentMs: 0 };
    this.#waiting.set(rid, request);
    // However it ends, also by its signal, it leaves the list.
    const forget = (): void => {
      this.#waiting.delete(rid);
      this.#uplink.requestDone();
    };
    call.promise.then(forget, forget);
    this.#agenda.expect(call.deadlineMs);
    this.subscribe();
    if (this.ready) this.#pump(nowMs);
    return call.promise;
  }

  received(message: IncomingMessage, topic: HubTopic & { type: "twinResponse" }): void {
    const request = this.#waiting.get(topic.rid);
    if (request === undefined) return;
    const { call, isGet } = request;
    const bytes = payloadOf(message);
    this.#tell(request, topic.status);
    if (topic.status < 200 || topic.status > 299) {
      if (topic.status === 429) this.#throttled(isGet ? "twinGet" : "twinReport");
      return call.reject(statusError(call.what, topic.status, bytes, isGet));
    }
    if (!isGet) return call.resolve({ body: null, version: topic.version });
    try {
      call.resolve({ body: parseJson(bytes), version: topic.version });
    } catch (cause) {
      const text = `${call.what}: the answer is not usable JSON`;
      call.reject(new IotError("twin.bad_answer", text, { cause }));
    }
  }

  disconnected(): void {
    this.#gateMs = Infinity;
    for (const request of this.#waiting.values()) {
      const { call, sent, again } = request;
      request.sent = false;
      if (!sent || again) continue;
      const text = `${call.what}: the connection was lost before the answer came`;
      call.reject(new IotError("device.connection_lost", text, { cause: this.#uplink.cause }));
    }
  }

  close(): void {
    this.#closed = true;
    for (const { call } of this.#waiting.values()) call.reject(closed(call.what));
  }

  get deadlineMs(): number {
    let nextMs = this.#gateMs;
    for (const { call } of this.#waiting.values()) {
      if (!call.settled) nextMs = Math.min(nextMs, call.deadlineMs);
    }
    return nextMs;
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#gateMs) this.#pump(nowMs);
    for (const { call, sent } of this.#waiting.values()) {
      if (call.settled || call.deadlineMs > nowMs) continue;
      const { cause } = this.#uplink;
      const what = `${call.what} (${sent ? "sent, not answered" : "not sent"})`;
      call.reject(timedOut(what, call.timeoutMs, cause === undefined ? undefined : { cause }));
    }
  }

  /** The answers' subscription. Repeating it is harmless. */
  subscribe(): void {
    this.#subscriptions.need({
      filter: twinResponsesFilter,
      qos: 0,
      onGranted: (nowMs) => {
        this.#pump(nowMs);
        this.onReady?.();
      },
      onRefused: (error) => {
        for (const { call } of this.#waiting.values()) call.reject(error);
        this.onRefused?.(error);
      },
    });
  }

  /** Sends what was not sent on this connection, as far as the rate limit lets it. */
  #pump(nowMs: number): void {
    this.#gateMs = Infinity;
    const { gate, stats } = this.#settings;
    for (const request of this.#waiting.values()) {
      const { topic, payload, call, isGet, sent } = request;
      if (sent || call.settled) continue;
      if (!this.ready) return;
      const atMs = gate.admit(isGet ? "twinGet" : "twinReport", payload.length, nowMs);
      if (atMs > 0) {
        this.#gateMs = atMs;
        return this.#agenda.expect(atMs);
      }
      request.sent = true;
      request.sentMs = nowMs;
      if (isGet) stats.twinGets += 1;
      else stats.twinReports += 1;
      this.#uplink.session.publish({ topic, payload, qos: 0 }, nowMs);
      this.#uplink.touch();
    }
  }

  #throttled(what: "twinGet" | "twinReport"): void {
    const { gate, clock } = this.#settings;
    gate.throttled(what, clock.nowMs());
  }

  #tell({ isGet, sentMs }: Request, status: number): void {
    if (!channels.twin.hasSubscribers) return;
    const { stats, clock } = this.#settings;
    const what = isGet ? "get" : "report";
    channels.twin.publish({ device: stats.device, what, status, tookMs: clock.nowMs() - sentMs });
  }
}

function statusError(what: string, status: number, bytes: Uint8Array, isGet: boolean): IotError {
  const code =
    status === 429
      ? "device.twin_throttled"
      : !isGet && (status === 409 || status === 412)
        ? "device.twin_conflict"
        : status >= 400 && status <= 499
          ? "device.twin_refused"
          : "device.twin_unavailable";
  const said = hubMessage(bytes);
  return new IotError(code, `${what}: the hub answered ${status}${said === "" ? "" : `, ${said}`}`);
}

/** `{"errorCode":400004,"message":"…"}` in real answers; anything else is not quoted. */
function hubMessage(bytes: Uint8Array): string {
  try {
    const body = parseJson(bytes);
    const message = isJsonObject(body) ? (body["message"] ?? body["Message"]) : undefined;
    return typeof message === "string" ? message.slice(0, 300) : "";
  } catch {
    return "";
  }
}
