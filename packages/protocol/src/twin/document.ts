import { IotError } from "../errors/iot-error.ts";
import { encodeBase64 } from "../iothub/base64.ts";
import { twinDesiredSizeMax, twinReportedSizeMax, twinTagsSizeMax } from "../iothub/limits.ts";
import { checkSection, checkSize } from "./check-section.ts";
import { emptyObject, isJsonObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { mergePatch, own } from "./merge-patch.ts";
import { patchMetadata, stamped } from "./metadata.ts";

/**
 * A device twin as a value: every write gives a new document (sharing what did not change), so a store can compare and
 * set. Plain JSON: what a store writes and reads back is the same twin.
 */
export type TwinDocument = {
  readonly tags: JsonObject;
  readonly desired: TwinSection;
  readonly reported: TwinSection;
  /** Grows with every write. A new twin has 2. */
  readonly version: number;
  /** Grows with writes of tags and desired properties only; `twinEtag` makes it text. */
  readonly etagCounter: number;
};

export type TwinSection = {
  readonly properties: JsonObject;
  /** Mirrors `properties`: each node has `$lastUpdated`, in desired also `$lastUpdatedVersion`. */
  readonly metadata: JsonObject;
  /** Starts at 1; what MQTT calls `$version`. */
  readonly version: number;
};

/** What a write by a service did, for notifications and events. */
export type TwinWrite = {
  twin: TwinDocument;
  /** What the device is to be told: the checked patch (or the whole section) with `$version`; absent if untouched. */
  desiredNotification?: JsonObject;
  tagsChanged: boolean;
};

/** The twin of an identity that was never written to. @param nowIso see `twinTimestamp` */
export function freshTwin(nowIso: string): TwinDocument {
  const section = (): TwinSection => ({
    properties: emptyObject(),
    metadata: stamped({ lastUpdated: nowIso }),
    version: 1,
  });
  return {
    tags: emptyObject(),
    desired: section(),
    reported: section(),
    version: 2,
    etagCounter: 1,
  };
}

/** The twin's etag: base64 of an 8-byte big-endian counter, such as `AAAAAAAAAAE=` (observed on live hubs). */
export function twinEtag(twin: TwinDocument): string {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(twin.etagCounter));
  return encodeBase64(bytes);
}

/**
 * What a device's PATCH of its reported properties makes of its twin.
 * @param baseVersion apply only if the reported `$version` still is this
 * @throws IotError `twin.version_mismatch`, those of `checkSection`, `twin.too_large`
 */
export function applyReportedPatch(
  twin: TwinDocument,
  patch: unknown,
  nowIso: string,
  baseVersion?: number,
): TwinDocument {
  if (baseVersion !== undefined && baseVersion !== twin.reported.version) {
    throw new IotError(
      "twin.version_mismatch",
      `The reported properties are at version ${twin.reported.version}, not ${baseVersion}`,
    );
  }
  const checked = checkSection(patch, "The reported patch");
  const properties = mergePatch(twin.reported.properties, checked);
  checkSize(properties, twinReportedSizeMax, "The reported properties");
  const metadata = patchMetadata(twin.reported.metadata, checked, { lastUpdated: nowIso });
  const version = twin.reported.version + 1;
  return { ...twin, reported: { properties, metadata, version }, version: twin.version + 1 };
}

/** A service's PATCH of desired properties alone. @throws as `applyTwinPatch` */
export const applyDesiredPatch = (
  twin: TwinDocument,
  patch: unknown,
  nowIso: string,
): TwinDocument => applyTwinPatch(twin, { properties: { desired: patch } }, nowIso).twin;

/** A service's PUT of desired properties alone. @throws as `replaceTwin` */
export const replaceDesired = (
  twin: TwinDocument,
  properties: unknown,
  nowIso: string,
): TwinDocument => replaceTwin(twin, { properties: { desired: properties } }, nowIso).twin;

/** A service's PATCH of tags alone. @throws as `applyTwinPatch` */
export const applyTagsPatch = (twin: TwinDocument, patch: unknown, nowIso: string): TwinDocument =>
  applyTwinPatch(twin, { tags: patch }, nowIso).twin;

/** A service's PUT of tags alone. @throws as `replaceTwin` */
export const replaceTags = (twin: TwinDocument, tags: unknown, nowIso: string): TwinDocument =>
  replaceTwin(twin, { tags }, nowIso).twin;

/**
 * A service's `PATCH /twins/{id}`: merges `tags` and `properties.desired` of the body, one version and one etag for both.
 * Everything else in the body is ignored, because callers send back whole twins; reported properties are ignored too.
 * A patch that changes nothing still counts as a write.
 * @throws IotError `twin.not_object`, those of `checkSection`, `twin.too_large`
 */
export const applyTwinPatch = (twin: TwinDocument, body: unknown, nowIso: string): TwinWrite =>
  write(twin, body, nowIso, "patch");

/**
 * A service's `PUT /twins/{id}`: a section that is given replaces the old one wholly, one left out stays as it is.
 * @throws as `applyTwinPatch`
 */
export const replaceTwin = (twin: TwinDocument, body: unknown, nowIso: string): TwinWrite =>
  write(twin, body, nowIso, "replace");

function write(
  twin: TwinDocument,
  body: unknown,
  nowIso: string,
  mode: "patch" | "replace",
): TwinWrite {
  if (!isJsonObject(body)) throw new IotError("twin.not_object", "The twin is not a JSON object");
  const tagsPatch = own(body, "tags");
  const properties = own(body, "properties");
  if (properties !== undefined && properties !== null && !isJsonObject(properties)) {
    throw new IotError("twin.not_object", "properties is not a JSON object");
  }
  const desiredPatch = isJsonObject(properties) ? own(properties, "desired") : undefined;

  let { tags, desired } = twin;
  if (tagsPatch !== undefined) tags = writeTags(tags, tagsPatch, mode);
  const result: { desiredNotification?: JsonObject } = {};
  if (desiredPatch !== undefined) {
    const written = writeDesired(desired, desiredPatch, nowIso, mode);
    desired = written.section;
    result.desiredNotification = written.notification;
  }
  const written = {
    ...twin,
    tags,
    desired,
    version: twin.version + 1,
    etagCounter: twin.etagCounter + 1,
  };
  return { twin: written, tagsChanged: tagsPatch !== undefined, ...result };
}

/** `tags: null` (and `desired: null`) clears the section: a merge patch deletes what it sets to null. */
function writeTags(old: JsonObject, patch: unknown, mode: "patch" | "replace"): JsonObject {
  const checked = checkSection(patch === null ? emptyObject() : patch, "tags");
  const tags = mergePatch(mode === "patch" && patch !== null ? old : undefined, checked);
  checkSize(tags, twinTagsSizeMax, "tags");
  return tags;
}

function writeDesired(
  old: TwinSection,
  patch: unknown,
  nowIso: string,
  mode: "patch" | "replace",
): { section: TwinSection; notification: JsonObject } {
  const checked = checkSection(patch === null ? emptyObject() : patch, "properties.desired");
  const version = old.version + 1;
  const stamp = { lastUpdated: nowIso, version };
  const keep = mode === "patch" && patch !== null;
  const properties = mergePatch(keep ? old.properties : undefined, checked);
  checkSize(properties, twinDesiredSizeMax, "properties.desired");
  const metadata = patchMetadata(keep ? old.metadata : undefined, checked, stamp);
  const notification = withVersion(keep ? checked : properties, version);
  return { section: { properties, metadata, version }, notification };
}

/** A copy with `$version` as its last member, which is how sections stand in messages. */
export function withVersion(properties: JsonObject, version: number): JsonObject {
  const copy = emptyObject();
  for (const key of Object.keys(properties)) copy[key] = own(properties, key) ?? null;
  copy["$version"] = version;
  return copy;
}
