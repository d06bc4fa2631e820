import { IotError } from "../errors/iot-error.ts";
import { emptyObject, isJsonObject } from "./json.ts";
import type { JsonObject, JsonValue } from "./json.ts";
import { mergePatch, own } from "./merge-patch.ts";

/**
 * A device's copy of its desired properties, kept true although notifications can be lost, repeated or overtaken.
 *
 * The recipe: subscribe, then GET, hold what arrives meanwhile, drop what the answer already contains, and GET again when
 * a version is missing. The driver subscribes, calls `restart()`, sends a GET for each `get` it is handed, and feeds
 * `answered` and `notified`.
 *
 * A replacement (PUT) at the service arrives as a notification that cannot be told from a patch; keys it removed stay in
 * the copy until the next GET. That is a property of the service.
 */
export type DesiredEffect =
  /** Send a twin GET; its answer goes to `answered`. */
  | { type: "get"; reason: "start" | "gap" }
  /** The whole section as the answer had it. */
  | { type: "snapshot"; desired: JsonObject; version: number }
  /** One notification: `patch` without `$version`, and the section after it. */
  | { type: "patch"; patch: JsonObject; desired: JsonObject; version: number };

/** Notifications held while a GET is under way; beyond it the oldest go, and the gap they leave asks for another GET. */
const heldMax = 256;

export class DesiredTracker {
  #desired: JsonObject = emptyObject();
  /** 0 until the first answer. */
  #version = 0;
  #waiting = false;
  #held: { patch: JsonObject; version: number }[] = [];
  /** The version of the answer before, while a gap is being repaired. */
  #lastAnswer: number | undefined;

  /** The section as far as it is known. */
  get desired(): JsonObject {
    return this.#desired;
  }

  /** `$version` of `desired`; 0 before the first answer. */
  get version(): number {
    return this.#version;
  }

  /** Whether an answer is awaited. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** After each (re)connect, once subscribed: notifications may have been missed, so everything held is stale. */
  restart(): readonly DesiredEffect[] {
    this.#held = [];
    this.#lastAnswer = undefined;
    this.#waiting = true;
    return [{ type: "get", reason: "start" }];
  }

  /**
   * A twin GET was answered.
   * @param twin the parsed body
   * @throws IotError `twin.bad_answer`
   */
  answered(twin: JsonValue): readonly DesiredEffect[] {
    const section = isJsonObject(twin) ? own(twin, "desired") : undefined;
    const version = isJsonObject(section) ? own(section, "$version") : undefined;
    if (!isJsonObject(section) || typeof version !== "number" || !Number.isSafeInteger(version)) {
      throw new IotError("twin.bad_answer", "The answer has no desired properties with $version");
    }
    this.#desired = withoutVersion(section);
    this.#version = version;
    this.#waiting = false;
    const effects: DesiredEffect[] = [{ type: "snapshot", desired: this.#desired, version }];
    const held = this.#held.sort((a, b) => a.version - b.version);
    this.#held = [];
    // A second answer at the same version will not close the gap: take what there is rather than ask for ever.
    const stuck = this.#lastAnswer === version;
    this.#lastAnswer = version;
    for (const one of held) {
      if (stuck && one.version > this.#version) this.#apply(one.patch, one.version, effects);
      else this.#take(one.patch, one.version, effects);
    }
    if (!this.#waiting) this.#lastAnswer = undefined;
    return effects;
  }

  /**
   * A desired notification arrived.
   * @param patch the parsed body; its `$version` is dropped, the topic's counts
   * @throws IotError `twin.bad_answer`
   */
  notified(patch: JsonValue, version: number): readonly DesiredEffect[] {
    if (!isJsonObject(patch)) {
      throw new IotError("twin.bad_answer", "The desired notification is not a JSON object");
    }
    const effects: DesiredEffect[] = [];
    this.#take(withoutVersion(patch), version, effects);
    return effects;
  }

  #take(patch: JsonObject, version: number, effects: DesiredEffect[]): void {
    if (this.#waiting || this.#version === 0) {
      this.#hold(patch, version);
      return;
    }
    if (version <= this.#version) return;
    if (version > this.#version + 1) {
      this.#hold(patch, version);
      this.#askAgain(effects);
      return;
    }
    this.#apply(patch, version, effects);
  }

  #apply(patch: JsonObject, version: number, effects: DesiredEffect[]): void {
    this.#desired = mergePatch(this.#desired, patch);
    this.#version = version;
    effects.push({ type: "patch", patch, desired: this.#desired, version });
  }

  #hold(patch: JsonObject, version: number): void {
    this.#held.push({ patch, version });
    if (this.#held.length > heldMax) this.#held.shift();
  }

  #askAgain(effects: DesiredEffect[]): void {
    this.#waiting = true;
    effects.push({ type: "get", reason: "gap" });
  }
}

function withoutVersion(section: JsonObject): JsonObject {
  const copy = emptyObject();
  for (const key of Object.keys(section)) {
    if (key !== "$version") copy[key] = own(section, key) ?? null;
  }
  return copy;
}
