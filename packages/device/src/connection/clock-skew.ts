/** Below this a difference is noise: network delays, whole seconds in dates. IoT Hub tolerates five minutes. */
const worthSayingMs = 60_000;

/**
 * How wrong the device's clock is, from server times that come by: the hub refuses a token of a device whose clock is wrong and
 * does not say why, so that somebody has to notice. Old server times are lower bounds: now is later than they were.
 */
export class ClockSkew {
  /** The hub's clock minus ours; undefined while nothing is known. */
  #hubAheadMs: number | undefined;
  #source = "";

  /** A time the server gave as its now, such as the `Date` of a WebSocket upgrade. */
  now(serverMs: number, wallMs: number, source: string): void {
    if (!Number.isFinite(serverMs)) return;
    this.#hubAheadMs = serverMs - wallMs;
    this.#source = source;
  }

  /** A time in the server's past, such as when a cloud-to-device message was queued: only good to show that we are behind. */
  past(serverMs: number, wallMs: number, source: string): void {
    const aheadMs = serverMs - wallMs;
    if (!Number.isFinite(serverMs) || aheadMs <= Math.max(this.#hubAheadMs ?? 0, 0)) return;
    this.now(serverMs, wallMs, source);
  }

  /** The device's clock was set: what was measured is worth nothing. */
  forget(): void {
    this.#hubAheadMs = undefined;
  }

  /** Milliseconds the hub's clock is ahead of the device's (negative: behind); undefined while unknown. */
  get hubAheadMs(): number | undefined {
    return this.#hubAheadMs;
  }

  /** For messages; undefined when unknown or too small to matter. */
  get words(): string | undefined {
    const aheadMs = this.#hubAheadMs;
    if (aheadMs === undefined || Math.abs(aheadMs) < worthSayingMs) return undefined;
    const which = aheadMs > 0 ? "behind" : "ahead of";
    return `the device's clock is about ${duration(Math.abs(aheadMs))} ${which} the hub's, by ${this.#source}`;
  }
}

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
] as const;

/** The two largest units that say something: `2 h 3 min`. */
function duration(ms: number): string {
  const parts: string[] = [];
  let leftMs = ms;
  for (const [name, unitMs] of units) {
    const count = Math.floor(leftMs / unitMs);
    if (count > 0) parts.push(`${count} ${name}`);
    leftMs -= count * unitMs;
  }
  return parts.slice(0, 2).join(" ");
}
