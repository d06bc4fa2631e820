import type { CallOptions } from "../calls/pending-call.ts";
import type { Agenda } from "../connection/agenda.ts";
import type { Subscriptions } from "../connection/subscriptions.ts";
import type { Uplink } from "../connection/uplink.ts";
import type { GatedOperation } from "../limits/send-gate.ts";
import type { Settings } from "../options/settings.ts";
import { Desired } from "./desired.ts";
import { Reports } from "./reports.ts";
import { readTwin } from "./twin.ts";
import type { DesiredChange, Twin } from "./twin.ts";
import { TwinCache } from "./twin-cache.ts";
import type { CachedTwin, TwinFeed } from "./twin-cache.ts";
import { TwinRequests } from "./twin-requests.ts";
import type { ReportOptions } from "./twin-requests.ts";

/** A device's twin: requests to the hub, desired properties, reports, and the copy they keep. */
export class DeviceTwin {
  readonly requests: TwinRequests;
  readonly desired: Desired;
  readonly cache: CachedTwin;
  readonly #settings: Settings;
  readonly #reports: Reports;
  readonly #feed: TwinFeed;

  constructor(settings: Settings, uplink: Uplink, subscriptions: Subscriptions, agenda: Agenda) {
    this.#settings = settings;
    const cache = new TwinCache(settings.clock);
    this.cache = cache;
    this.#feed = TwinCache.feed(cache);
    this.requests = new TwinRequests(settings, uplink, subscriptions, agenda);
    this.desired = new Desired(settings, subscriptions, this.requests, agenda, this.#feed);
    this.#reports = new Reports(settings, this.requests, agenda, this.#feed, () =>
      this.desired.repair(),
    );
  }

  /** Reports that the hub has not answered yet, on the way or not. */
  get reporting(): boolean {
    return this.#reports.open;
  }

  async get(options: CallOptions): Promise<Twin> {
    this.#checkBudget("twinGet");
    const { body } = await this.requests.get("getTwin", options);
    const twin = readTwin(body);
    this.desired.read(body);
    this.#feed.read(twin);
    return twin;
  }

  async follow(options: CallOptions): Promise<CachedTwin> {
    await this.desired.keep(options);
    return this.cache;
  }

  report(
    patch: Readonly<Record<string, unknown>>,
    options: ReportOptions,
  ): Promise<{ version: number }> {
    this.#checkBudget("twinReport");
    return this.#reports.report(patch, options);
  }

  changes(signal: AbortSignal | undefined): AsyncIterableIterator<DesiredChange, undefined> {
    return this.desired.changes(signal);
  }

  disconnected(): void {
    this.requests.disconnected();
    this.desired.disconnected();
    this.#feed.disconnected();
  }

  close(): void {
    this.#reports.close();
    this.requests.close();
    this.desired.close();
  }

  /** @throws IotError `device.budget_spent` */
  #checkBudget(kind: GatedOperation): void {
    const refused = this.#settings.gate.refusal(kind, 0);
    if (refused !== undefined) throw refused;
  }
}
