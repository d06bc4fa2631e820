import type { Promises } from "./promises.ts";

type Known = {
  /** As last answered; undefined: not there. */
  reason: string | undefined;
  /** A write that was not answered: it may have happened, once. Undefined as its result: deleted. */
  open: { result: string | undefined } | undefined;
  key: string;
};

export type ListedDevice = {
  deviceId: string;
  statusReason: string | null;
  authentication: { symmetricKey: { primaryKey: string } };
};

/** Which devices the registry must hold. Every write stores a new status reason. */
export class IdentityLedger {
  readonly #promises: Promises;
  readonly #known = new Map<string, Known>();

  constructor(promises: Promises) {
    this.#promises = promises;
  }

  /** Devices that are there for sure. */
  get there(): string[] {
    return [...this.#known]
      .filter(([, { reason, open }]) => reason !== undefined && open === undefined)
      .map(([id]) => id);
  }

  keyOf(id: string): string {
    return this.#known.get(id)?.key ?? "";
  }

  has(id: string): boolean {
    return this.#known.get(id)?.reason !== undefined;
  }

  asked(id: string, result: string | undefined, key: string): void {
    const known = this.#known.get(id) ?? { reason: undefined, open: undefined, key };
    known.open = { result };
    this.#known.set(id, known);
  }

  answered(id: string): void {
    const known = this.#known.get(id);
    if (known?.open === undefined) return;
    known.reason = known.open.result;
    known.open = undefined;
  }

  /** The whole registry as the service lists it now; settles what was in doubt. */
  check(listed: readonly ListedDevice[]): void {
    const found = new Map(listed.map((device) => [device.deviceId, device]));
    for (const { deviceId } of listed) {
      if (!this.#known.has(deviceId)) this.#promises.broke(`nobody registered ${deviceId}`);
    }
    for (const [id, known] of this.#known) {
      const device = found.get(id);
      const is = device === undefined ? undefined : (device.statusReason ?? "");
      const may = known.open === undefined ? [known.reason] : [known.reason, known.open.result];
      if (!may.includes(is)) {
        this.#promises.broke(
          `${id}: the registry says ${is ?? "nothing"}, not ${may.join(" or ")}`,
        );
      }
      if (device !== undefined && device.authentication.symmetricKey.primaryKey !== known.key) {
        this.#promises.broke(`${id} has another key`);
      }
      known.reason = is;
      known.open = undefined;
    }
  }
}
