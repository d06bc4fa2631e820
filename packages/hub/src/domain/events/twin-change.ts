import { emptyObject, isJsonObject } from "@hubwire/protocol";
import type { JsonObject, TwinDocument } from "@hubwire/protocol";

type Section = TwinDocument["desired"];

/**
 * Body of a twin-change event: the sections that changed, of an update only what changed in them (null for what is gone),
 * each with its metadata and version.
 */
export function twinChange(
  opType: "updateTwin" | "replaceTwin",
  before: TwinDocument,
  after: TwinDocument,
): JsonObject {
  const isWhole = opType === "replaceTwin";
  const body = emptyObject();
  body["version"] = after.version;
  const tags = isWhole ? after.tags : difference(before.tags, after.tags);
  if (isWhole || Object.keys(tags).length > 0) body["tags"] = tags;
  const properties = emptyObject();
  for (const name of ["desired", "reported"] as const) {
    if (before[name].version === after[name].version) continue;
    properties[name] = isWhole ? whole(after[name]) : changed(before[name], after[name]);
  }
  if (Object.keys(properties).length > 0) body["properties"] = properties;
  return body;
}

const whole = ({ properties, metadata, version }: Section): JsonObject => ({
  ...properties,
  $metadata: metadata as never,
  $version: version,
});

function changed(before: Section, after: Section): JsonObject {
  const changes = difference(before.properties, after.properties);
  const metadata = emptyObject();
  for (const [key, value] of Object.entries(after.metadata as unknown as JsonObject)) {
    if (key.startsWith("$") || Object.hasOwn(changes, key)) metadata[key] = value;
  }
  return { ...changes, $metadata: metadata, $version: after.version };
}

/** The merge patch that leads from one to the other. */
function difference(before: JsonObject, after: JsonObject): JsonObject {
  const patch = emptyObject();
  for (const [key, value] of Object.entries(after)) {
    const old = Object.hasOwn(before, key) ? before[key] : undefined;
    if (old !== undefined && isJsonObject(old) && isJsonObject(value)) {
      const inner = difference(old, value);
      if (Object.keys(inner).length > 0) patch[key] = inner;
    } else if (JSON.stringify(old) !== JSON.stringify(value)) patch[key] = value;
  }
  for (const key of Object.keys(before)) if (!Object.hasOwn(after, key)) patch[key] = null;
  return patch;
}
