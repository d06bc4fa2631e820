import { DailyBudget, IotError, tierLimits } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import { channels } from "../observe/channels.ts";
import type { BudgetStats, Counters, LimitStats } from "../observe/stats.ts";
import { Lane } from "./lane.ts";
import type { Limits } from "./rate-limit.ts";
import type { GatedOperation, SendGate } from "./send-gate.ts";

/** The wall clock may jump meanwhile, so midnight is waited for in pieces of at most this. */
const lookEveryMs = 60_000;
/** Where a throttled device without limits of its own comes down from: the smallest hub's rates. */
const smallest = tierLimits("S1");

export type GateOptions = {
  limits: Limits;
  whenSpent: "wait" | "refuse";
  clock: Clock;
  random: () => number;
  stats: Counters;
};

/**
 * The rate limit and the daily budget of one device, and its answer to a hub that throttles. Without limits and while the
 * hub is content it lets everything through at the cost of two comparisons.
 */
export class Gate implements SendGate {
  readonly #options: GateOptions;
  readonly #telemetry: Lane;
  readonly #twinGet: Lane;
  readonly #twinReport: Lane;
  readonly #budget: DailyBudget | undefined;
  #waits = 0;
  #refused = 0;

  constructor(options: GateOptions) {
    const { limits, clock, stats } = options;
    const nowMs = clock.nowMs();
    const { burstS, messagesPerDay, meterBytes } = limits;
    const lane = (perS: number | undefined, throttledPerS: number): Lane =>
      new Lane({ perS, burstS, throttledPerS }, nowMs);
    this.#options = options;
    this.#telemetry = lane(limits.telemetryPerS, smallest.telemetryPerS);
    this.#twinGet = lane(limits.twinReadsPerS, smallest.twinReadsPerS);
    this.#twinReport = lane(limits.twinUpdatesPerS, smallest.twinUpdatesPerS);
    if (messagesPerDay !== undefined) {
      this.#budget = new DailyBudget(messagesPerDay, meterBytes, clock.wallMs());
    }
    stats.limits = () => this.#snapshot();
  }

  admit(kind: GatedOperation, bytes: number, nowMs: number): number {
    const budget = this.#budget;
    const lane = this.#lane(kind);
    if (budget === undefined && (lane === undefined || lane.isOpen)) return 0;
    if (lane === undefined) {
      this.#spend(bytes);
      return 0;
    }
    const readyAtMs = lane.readyAtMs(nowMs);
    if (readyAtMs !== 0) return this.#later(readyAtMs);
    if (budget !== undefined) {
      const wallMs = this.#options.clock.wallMs();
      const units = budget.units(bytes);
      if (!budget.allows(units, wallMs)) {
        const leftMs = Math.max(1, budget.resetsAtMs(wallMs) - wallMs);
        return this.#later(nowMs + Math.min(leftMs, lookEveryMs));
      }
      budget.spend(units, wallMs);
    }
    lane.take();
    return 0;
  }

  refusal(kind: GatedOperation, bytes: number): IotError | undefined {
    const budget = this.#budget;
    if (budget === undefined || this.#options.whenSpent === "wait") return undefined;
    const { clock, stats } = this.#options;
    const wallMs = clock.wallMs();
    // What waits in the queue was promised its part.
    const queued = Math.max(stats.queueDepth, Math.ceil(stats.queueBytes / budget.unitBytes));
    const waiting = kind === "telemetry" ? queued : 0;
    const needed = Math.min(budget.units(bytes), budget.limit);
    if (budget.left(wallMs) - waiting >= needed) return undefined;
    this.#refused += 1;
    const resetsAt = new Date(budget.resetsAtMs(wallMs)).toISOString();
    return new IotError(
      "device.budget_spent",
      `Of ${budget.limit} messages today ${budget.used(wallMs)} are spent` +
        `${waiting === 0 ? "" : ` and ${waiting} wait`}; the next come at ${resetsAt}`,
    );
  }

  throttled(kind: GatedOperation, nowMs: number): void {
    const { stats, random } = this.#options;
    stats.throttled += 1;
    this.#lane(kind)?.throttled(nowMs, random());
    if (channels.throttled.hasSubscribers) {
      channels.throttled.publish({ device: stats.device, what: kind });
    }
  }

  #lane(kind: GatedOperation): Lane | undefined {
    switch (kind) {
      case "telemetry":
        return this.#telemetry;
      case "twinGet":
        return this.#twinGet;
      case "twinReport":
        return this.#twinReport;
      case "c2dComplete":
      case "method":
        return undefined;
    }
  }

  #spend(bytes: number): void {
    const budget = this.#budget;
    budget?.spend(budget.units(bytes), this.#options.clock.wallMs());
  }

  #later(atMs: number): number {
    this.#waits += 1;
    return atMs;
  }

  #snapshot(): LimitStats {
    const nowMs = this.#options.clock.nowMs();
    return {
      waits: this.#waits,
      refused: this.#refused,
      twinShare: Math.min(this.#twinGet.shareAt(nowMs), this.#twinReport.shareAt(nowMs)),
      budget: this.#budgetStats(),
    };
  }

  #budgetStats(): BudgetStats | undefined {
    const budget = this.#budget;
    if (budget === undefined) return undefined;
    const wallMs = this.#options.clock.wallMs();
    return {
      limit: budget.limit,
      used: budget.used(wallMs),
      left: budget.left(wallMs),
      resetsAt: new Date(budget.resetsAtMs(wallMs)),
    };
  }
}
