import { emptyObject, mergePatch } from "@hubwire/protocol";
import type { JsonObject } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import { frozen } from "./frozen.ts";
import type { Twin } from "./twin.ts";

/**
 * The device's copy of its twin: what was last read, with every notification and every acknowledged report merged into it.
 * It asks the hub for nothing by itself; `client.followTwin()` and `desiredProperties()` keep it current. Documents are
 * frozen.
 */
export interface CachedTwin extends Readonly<Twin> {
  /** Whether the hub has confirmed both sections on the present connection, and changes of desired are followed. */
  readonly isCurrent: boolean;
  /** Milliseconds since the hub last said something about the twin; Infinity before the first time. */
  readonly ageMs: number;
}

/** Versions are 0 until the section is known. */
export class TwinCache implements CachedTwin {
  readonly #clock: Clock;
  #desired: JsonObject = frozen(emptyObject());
  #desiredVersion = 0;
  #reported: JsonObject = frozen(emptyObject());
  #reportedVersion = 0;
  #heardMs = -Infinity;
  #desiredFollowed = false;
  /** Read on this connection, and nothing missing since. */
  #reportedSure = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get desired(): JsonObject {
    return this.#desired;
  }

  get desiredVersion(): number {
    return this.#desiredVersion;
  }

  get reported(): JsonObject {
    return this.#reported;
  }

  get reportedVersion(): number {
    return this.#reportedVersion;
  }

  get isCurrent(): boolean {
    return this.#desiredFollowed && this.#reportedSure;
  }

  get ageMs(): number {
    return this.#clock.nowMs() - this.#heardMs;
  }

  /** @internal For the client. */
  static feed(cache: TwinCache): TwinFeed {
    return {
      desired: (desired, version) => {
        cache.#desired = frozen(desired);
        cache.#desiredVersion = version;
        cache.#desiredFollowed = true;
        cache.#heardMs = cache.#clock.nowMs();
      },
      read: (twin) => cache.#read(twin),
      accepted: (patch, version) => cache.#accepted(patch, version),
      disconnected: () => {
        cache.#desiredFollowed = false;
        cache.#reportedSure = false;
      },
      surelyReported: () => (cache.#reportedSure ? cache.#reported : undefined),
    };
  }

  #read({ desired, desiredVersion, reported, reportedVersion }: Twin): void {
    this.#heardMs = this.#clock.nowMs();
    // While notifications are followed they know better; otherwise this is the latest there is.
    if (!this.#desiredFollowed) {
      this.#desired = frozen(desired);
      this.#desiredVersion = desiredVersion;
    }
    // An answer may be overtaken by the answer to a report. On another connection the twin may also be another one.
    if (this.#reportedSure && reportedVersion < this.#reportedVersion) return;
    this.#reported = frozen(reported);
    this.#reportedVersion = reportedVersion;
    this.#reportedSure = true;
  }

  /** @returns false when this version does not follow: something was written that this client does not know of */
  #accepted(patch: JsonObject, version: number): boolean {
    this.#heardMs = this.#clock.nowMs();
    // A read that overtook this answer has it already.
    if (version === this.#reportedVersion) return true;
    const isNext = version === this.#reportedVersion + 1;
    if (version < this.#reportedVersion) {
      // The twin was made anew meanwhile: nothing here is sure.
      this.#reportedSure = false;
      return false;
    }
    // Nothing was ever read: a patch alone is not the section.
    if (this.#reportedVersion === 0) return false;
    this.#reported = frozen(mergePatch(this.#reported, patch));
    this.#reportedVersion = version;
    if (!isNext) this.#reportedSure = false;
    return isNext;
  }
}

/** What the client tells its copy. */
export type TwinFeed = {
  desired(desired: JsonObject, version: number): void;
  read(twin: Twin): void;
  accepted(patch: JsonObject, version: number): boolean;
  disconnected(): void;
  /** The reported section when it is surely known, for checking sizes before sending. */
  surelyReported(): JsonObject | undefined;
};
