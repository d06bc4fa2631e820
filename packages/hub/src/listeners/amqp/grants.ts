import { IotError } from "@hubwire/protocol";
import type { Clock, Timer } from "@hubwire/transport";
import type { ServiceGrant } from "../../domain/auth/index.ts";

/** What a link may only be used with: a token for IoT Hub's addresses, or for an Event Hubs path. Always ServiceConnect. */
export type Need = { kind: "hub" } | { kind: "entity"; path: readonly string[] };

/** The wall clock may jump: expiry is looked at this often at least. */
const lookMsMax = 5 * 60_000;

/** The tokens put on one connection, by the audience they were put for; a renewal replaces its elder. */
export class Grants {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #onExpired: () => void;
  readonly #byName = new Map<string, ServiceGrant>();
  #timer: Timer | undefined;

  constructor(clock: Clock, max: number, onExpired: () => void) {
    this.#clock = clock;
    this.#max = max;
    this.#onExpired = onExpired;
  }

  get isEmpty(): boolean {
    return this.#byName.size === 0;
  }

  /** @throws IotError `amqp.limit` */
  put(name: string, grant: ServiceGrant): void {
    if (!this.#byName.has(name) && this.#byName.size >= this.#max) {
      throw new IotError("amqp.limit", `A connection keeps ${this.#max} tokens`);
    }
    this.#byName.set(name, grant);
    this.#arm();
  }

  /** @throws IotError `auth.missing_authorization`, `auth.policy_permission`, `auth.token_expired` */
  require(need: Need): void {
    const nowMs = this.#clock.wallMs();
    let reason = new IotError("auth.missing_authorization", "No token for this address was put");
    for (const grant of this.#byName.values()) {
      if (!covers(grant, need)) continue;
      if (grant.expiresAtMs <= nowMs) {
        reason = new IotError("auth.token_expired", "The token for this address has expired");
      } else if (grant.permits("ServiceConnect")) return;
      else {
        reason = new IotError("auth.policy_permission", "This address needs ServiceConnect");
      }
    }
    throw reason;
  }

  close(): void {
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer?.cancel();
    let firstMs = Infinity;
    for (const { expiresAtMs } of this.#byName.values()) firstMs = Math.min(firstMs, expiresAtMs);
    if (firstMs === Infinity) return;
    const inMs = Math.min(lookMsMax, Math.max(0, firstMs - this.#clock.wallMs()));
    this.#timer = this.#clock.at(this.#clock.nowMs() + inMs, () => this.#look());
  }

  #look(): void {
    const nowMs = this.#clock.wallMs();
    let isExpired = false;
    for (const [name, { expiresAtMs }] of this.#byName) {
      if (expiresAtMs > nowMs) continue;
      this.#byName.delete(name);
      isExpired = true;
    }
    if (isExpired) this.#onExpired();
    this.#arm();
  }
}

function covers(grant: ServiceGrant, need: Need): boolean {
  if (need.kind === "hub") return grant.kind === "hub";
  if (grant.kind !== "entity" || grant.path.length > need.path.length) return false;
  return grant.path.every(
    (segment, i) => decoded(segment).toLowerCase() === need.path[i]!.toLowerCase(),
  );
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
