import { IotError } from "@hubwire/protocol";
import { closed } from "./calls/errors.ts";
import { Deadlines } from "./calls/deadlines.ts";
import { PendingCall } from "./calls/pending-call.ts";
import type { CallOptions } from "./calls/pending-call.ts";
import { Agenda } from "./connection/agenda.ts";
import { isFinal } from "./connection/status.ts";
import type { DeviceStatus } from "./connection/status.ts";
import { Uplink } from "./connection/uplink.ts";
import type { UplinkOwner } from "./connection/uplink-owner.ts";
import { Features } from "./features.ts";
import { StatusFeed } from "./observe/status-feed.ts";
import { checkNumber } from "./options/bounds.ts";
import type { ConnectOptions } from "./options/options.ts";
import type { Settings } from "./options/settings.ts";
import type { MessageStore } from "./outbox/store.ts";

/** What `close` grants to what is under way. */
const closeTimeoutMs = 10_000;

/** From `connect` to `closed` or `failed`: opening, closing in order, and the end of everything. */
export class Lifecycle {
  readonly uplink: Uplink;
  readonly features: Features;
  readonly statuses: StatusFeed;
  readonly deadlines: Deadlines;
  readonly #settings: Settings;
  readonly #agenda: Agenda;
  #opening: PendingCall<void> | undefined;
  #closing: PendingCall<void> | undefined;
  #closePromise: Promise<void> | undefined;

  constructor(settings: Settings, options: ConnectOptions, store: MessageStore | undefined) {
    this.#settings = settings;
    this.statuses = new StatusFeed(settings, options.onStatus);
    const agenda = new Agenda(settings.clock);
    this.#agenda = agenda;
    this.deadlines = new Deadlines(agenda);
    this.uplink = new Uplink(settings, agenda, this.#owner());
    this.features = new Features(settings, options, { uplink: this.uplink, agenda, store });
  }

  open(signal: AbortSignal | undefined): Promise<void> {
    const { clock, connectTimeoutMs, waitForConnection, credentials, onError } = this.#settings;
    credentials.attach?.({
      clock,
      notice: (news) => {
        onError(news, "credentials");
        this.uplink.note(news);
      },
    });
    if (!waitForConnection) {
      this.uplink.start();
      return Promise.resolve();
    }
    const opening = new PendingCall<void>("connect()", clock.nowMs(), connectTimeoutMs, signal);
    this.#opening = opening;
    this.deadlines.add(opening.deadlineMs, () => {
      const { cause } = this.uplink;
      const last = cause === undefined ? "no attempt ended" : cause.message;
      const text = `Not connected within ${connectTimeoutMs} ms; last: ${last}`;
      opening.reject(new IotError("device.connect_timeout", text, { cause }));
    });
    // Also when its signal ends it: nothing goes on in the background after connect() was rejected.
    opening.promise.catch((error: unknown) => this.#finish(error as IotError));
    if (!opening.settled) this.uplink.start();
    return opening.promise;
  }

  /** What a call rejects with on a client that is closed, or gave up; undefined while calls are taken. */
  refusal(what: string): IotError | undefined {
    if (this.#closePromise === undefined) return undefined;
    const { status } = this.uplink;
    return closed(what, status.state === "failed" ? status.cause : undefined);
  }

  close(options: CallOptions): Promise<void> {
    this.#closePromise ??= this.#close(options);
    return this.#closePromise;
  }

  async #close(options: CallOptions): Promise<void> {
    const { timeoutMs = closeTimeoutMs, signal } = options;
    const { clock } = this.#settings;
    const { telemetry } = this.features;
    telemetry.closing();
    if (!isFinal(this.uplink.status)) {
      checkNumber("timeoutMs", timeoutMs, 0, 86_400_000);
      const closing = new PendingCall<void>("close()", clock.nowMs(), timeoutMs, signal);
      this.#closing = closing;
      this.deadlines.add(closing.deadlineMs, () => closing.resolve());
      this.#checkQuiet();
      await closing.promise.catch(() => undefined);
      this.#finish(undefined);
    }
    // By then the driver has given DISCONNECT to the socket.
    await new Promise<void>((resolve) => clock.endOfTurn(resolve));
    await telemetry.closed();
  }

  /** Nothing is under way any more, so a `close` need not wait longer. */
  #checkQuiet(): void {
    const closing = this.#closing;
    if (closing === undefined || this.features.telemetry.pending > 0) return;
    if (!this.uplink.connected || !this.features.busy) closing.resolve();
  }

  #finish(failure: IotError | undefined): void {
    this.#closePromise ??= this.#letGo();
    this.uplink.close(failure);
    this.#agenda.stop();
    this.#settings.credentials.close?.();
    this.features.close();
  }

  /** The disk is let go of a little later than everything else. */
  async #letGo(): Promise<void> {
    await Promise.resolve();
    await this.features.telemetry.closed();
  }

  #owner(): UplinkOwner {
    const requestsOpen = (): boolean => this.features.requestsOpen;
    return {
      connected: (nowMs) => this.features.connected(nowMs),
      effect: (effect, nowMs) => this.features.effect(effect, nowMs),
      turn: (nowMs) => {
        this.features.telemetry.pump(nowMs);
        this.#checkQuiet();
      },
      disconnected: () => this.features.disconnected(),
      renamed: () => this.features.renamed(),
      quieter: () => this.#checkQuiet(),
      statusChanged: (status) => this.#statusChanged(status),
      get requestsOpen() {
        return requestsOpen();
      },
    };
  }

  #statusChanged(status: DeviceStatus): void {
    this.statuses.toChannels(status);
    if (status.state === "connected") this.#opening?.resolve();
    if (status.state === "failed") {
      this.#opening?.reject(status.cause);
      // Everything that still waits settles now.
      this.#finish(status.cause);
    }
    this.statuses.toApplication(status);
  }
}
