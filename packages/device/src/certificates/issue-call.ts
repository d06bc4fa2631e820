import {
  certificateIssueTopic,
  credentialsFilter,
  formatCertificateRequest,
  IotError,
  parseCertificateAnswer,
  payloadOf,
} from "@hubwire/protocol";
import type { HubTopic, IncomingMessage } from "@hubwire/protocol";
import { closed, timedOut } from "../calls/errors.ts";
import { PendingCall } from "../calls/pending-call.ts";
import type { CallOptions } from "../calls/pending-call.ts";
import type { Agenda, Machine } from "../connection/agenda.ts";
import type { Subscriptions } from "../connection/subscriptions.ts";
import type { Uplink } from "../connection/uplink.ts";
import type { Settings } from "../options/settings.ts";
import { operationActive, operationPending, refusalError } from "./refusal.ts";
import type { CertificateRefusal } from "./refusal.ts";

/** What the official clients wait for a certificate. */
const timeoutMsDefault = 120_000;
/** Between two questions while the hub still works on the one this client asked before its connection broke. */
const pendingRetryMs = 5_000;

export type IssueOptions = CallOptions & {
  /** An open request to put aside: any ("*"), or the one with this id. Default none. */
  replace?: string | undefined;
};

type Request = {
  id: string;
  csr: string;
  replace: string | null;
  call: PendingCall<readonly Uint8Array[]>;
  rid: string;
  sent: boolean;
  /** It may be this very request that the hub finds in its own way. */
  repeated: boolean;
  /** The hub works on it: what it called it. */
  accepted: string | undefined;
  /** Monotonic milliseconds. */
  retryMs: number;
};

/**
 * Asks the hub for a certificate: one request at a time, as the hub has it. The hub first says 202, then, some seconds later,
 * 200 with the certificate. When the connection breaks in between, the same request is sent again on the next one; the hub
 * may then find the first in its way, and is told to replace it.
 *
 * QoS 0, as for twins: the answer is what counts.
 */
export class IssueCall implements Machine {
  readonly #settings: Settings;
  readonly #uplink: Uplink;
  readonly #subscriptions: Subscriptions;
  readonly #agenda: Agenda;
  readonly #ridPrefix: string;
  #ridCount = 0;
  #request: Request | undefined;
  #closed = false;

  constructor(settings: Settings, uplink: Uplink, subscriptions: Subscriptions, agenda: Agenda) {
    this.#settings = settings;
    this.#uplink = uplink;
    this.#subscriptions = subscriptions;
    this.#agenda = agenda;
    this.#ridPrefix = Math.floor(settings.random() * 2 ** 40).toString(36);
    agenda.add(this);
  }

  /** A request is on the way to its answer. */
  get open(): boolean {
    return this.#request?.sent === true;
  }

  /**
   * @param csr base64 of PKCS#10 in DER
   * @returns DER, leaf first
   * @throws IotError `certificate.*`, `call.timeout`, `call.aborted`, `client.closed`, `device.subscription_refused`
   */
  issue(id: string, csr: string, options: IssueOptions): Promise<readonly Uint8Array[]> {
    const what = "renewCertificate";
    if (this.#closed) return Promise.reject(closed(what));
    if (this.#request !== undefined) {
      const text = `${what}: this client waits for a certificate already`;
      return Promise.reject(new IotError("certificate.pending", text));
    }
    const { timeoutMs = timeoutMsDefault, signal, replace = null } = options;
    const nowMs = this.#settings.clock.nowMs();
    const call = new PendingCall<readonly Uint8Array[]>(what, nowMs, timeoutMs, signal);
    if (call.settled) return call.promise;
    const request: Request = {
      id,
      csr,
      replace,
      call,
      rid: "",
      sent: false,
      repeated: false,
      accepted: undefined,
      retryMs: Infinity,
    };
    this.#request = request;
    const forget = (): void => {
      this.#request = undefined;
      this.#uplink.requestDone();
    };
    call.promise.then(forget, forget);
    this.#agenda.expect(call.deadlineMs);
    this.#subscribe();
    if (this.#subscriptions.granted(credentialsFilter)) this.#send(request, nowMs);
    return call.promise;
  }

  received(message: IncomingMessage, topic: HubTopic & { type: "certificateResponse" }): void {
    const request = this.#request;
    if (request === undefined || request.rid !== topic.rid || request.call.settled) return;
    const answer = parseCertificateAnswer(topic.status, payloadOf(message));
    const { call } = request;
    switch (answer.type) {
      case "accepted":
        request.accepted = answer.correlationId ?? "";
        return;
      case "issued":
        return call.resolve(answer.certificates);
      case "refused":
        return this.#refused(request, answer);
      case "malformed": {
        const text = `${call.what}: the answer cannot be read: ${answer.why}`;
        return call.reject(new IotError("certificate.bad_answer", text));
      }
    }
  }

  disconnected(): void {
    const request = this.#request;
    if (request === undefined || !request.sent) return;
    request.sent = false;
    request.repeated = true;
    request.retryMs = Infinity;
  }

  close(): void {
    this.#closed = true;
    this.#request?.call.reject(closed("renewCertificate"));
  }

  get deadlineMs(): number {
    const request = this.#request;
    if (request === undefined || request.call.settled) return Infinity;
    return Math.min(request.call.deadlineMs, request.retryMs);
  }

  tick(nowMs: number): void {
    const request = this.#request;
    if (request === undefined || request.call.settled) return;
    const { call } = request;
    if (nowMs >= call.deadlineMs) return call.reject(this.#tooLate(request));
    if (nowMs < request.retryMs) return;
    request.retryMs = Infinity;
    request.sent = false;
    this.#send(request, nowMs);
  }

  #tooLate({ call, sent, accepted }: Request): IotError {
    const { cause } = this.#uplink;
    const how = accepted === undefined ? (sent ? "sent, not answered" : "not sent") : "accepted";
    const reference =
      accepted === undefined || accepted === "" ? "" : `, correlation id ${accepted}`;
    const what = `${call.what} (${how}${reference})`;
    return timedOut(what, call.timeoutMs, cause === undefined ? undefined : { cause });
  }

  #refused(request: Request, answer: CertificateRefusal): void {
    const nowMs = this.#settings.clock.nowMs();
    if (request.repeated && answer.errorCode === operationActive) {
      // Most likely our own, from before the connection broke. Once: what is then in the way is somebody else's.
      request.repeated = false;
      request.replace = answer.requestId ?? "*";
      request.sent = false;
      return this.#send(request, nowMs);
    }
    if (request.repeated && answer.errorCode === operationPending) {
      request.retryMs = nowMs + pendingRetryMs;
      return this.#agenda.expect(request.retryMs);
    }
    request.call.reject(refusalError(request.call.what, answer));
  }

  #subscribe(): void {
    this.#subscriptions.need({
      filter: credentialsFilter,
      qos: 0,
      onGranted: (nowMs) => {
        if (this.#request !== undefined) this.#send(this.#request, nowMs);
      },
      onRefused: (error) => this.#request?.call.reject(error),
    });
  }

  #send(request: Request, nowMs: number): void {
    if (request.sent || request.call.settled || !this.#uplink.connected) return;
    request.sent = true;
    request.rid = `${this.#ridPrefix}-${(this.#ridCount++).toString(36)}`;
    const topic = certificateIssueTopic(request.rid);
    const payload = Buffer.from(formatCertificateRequest(request), "utf8");
    this.#uplink.session.publish({ topic, payload, qos: 0 }, nowMs);
    this.#uplink.touch();
  }
}
