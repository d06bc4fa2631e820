import type { Attributes } from "@opentelemetry/api";
import type { DeviceRef } from "../observe/channels.ts";
import { dropReasons } from "../observe/stats.ts";
import type { DeviceStats, DropReason } from "../observe/stats.ts";
import { counterRows, levelRows } from "./metric-table.ts";

type Sums = { counters: number[]; dropped: Record<DropReason, number> };

/** All clients of one device, or of what counts as one: a counter must not fall when one is closed and another opened. */
type Device = {
  attributes: Attributes;
  /** Of clients that were closed. */
  past: Sums;
  live: Set<() => DeviceStats>;
};

/** What the counters of all clients add up to, device by device. */
export class Totals {
  readonly #attributesOf: (device: DeviceRef) => Attributes;
  readonly #devices = new Map<string, Device>();

  constructor(attributesOf: (device: DeviceRef) => Attributes) {
    this.#attributesOf = attributesOf;
  }

  opened(ref: DeviceRef, stats: () => DeviceStats): void {
    const attributes = this.#attributesOf(ref);
    // Whom the attributes do not tell apart is one series.
    const key = JSON.stringify(attributes);
    let device = this.#devices.get(key);
    if (device === undefined) {
      device = { attributes, past: noSums(), live: new Set() };
      this.#devices.set(key, device);
    }
    device.live.add(stats);
  }

  /** Reads the client a last time; one that was opened before anybody listened is not known here. */
  closed(stats: () => DeviceStats): void {
    for (const device of this.#devices.values()) {
      if (device.live.delete(stats)) add(device.past, stats());
    }
  }

  /** Calls back for each device: sums in the order of the tables. */
  read(
    each: (device: {
      attributes: Attributes;
      counters: readonly number[];
      levels: readonly number[];
      dropped: Readonly<Record<DropReason, number>>;
    }) => void,
  ): void {
    for (const { attributes, past, live } of this.#devices.values()) {
      const sums: Sums = { counters: [...past.counters], dropped: { ...past.dropped } };
      const levels = levelRows.map(() => 0);
      for (const stats of live) {
        const snapshot = stats();
        add(sums, snapshot);
        for (const [i, { read }] of levelRows.entries()) levels[i]! += read(snapshot);
      }
      each({ attributes, levels, ...sums });
    }
  }
}

const noSums = (): Sums => ({
  counters: counterRows.map(() => 0),
  dropped: Object.fromEntries(dropReasons.map((reason) => [reason, 0])) as Sums["dropped"],
});

function add(sums: Sums, snapshot: DeviceStats): void {
  for (const [i, { read }] of counterRows.entries()) sums.counters[i]! += read(snapshot);
  for (const reason of dropReasons) sums.dropped[reason] += snapshot.dropped[reason];
}
