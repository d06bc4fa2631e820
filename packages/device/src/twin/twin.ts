import { IotError, isJsonObject } from "@hubwire/protocol";
import type { JsonObject, JsonValue } from "@hubwire/protocol";

/** A device's own view of its twin: no tags, no metadata. */
export type Twin = {
  desired: JsonObject;
  /** `$version` of desired. */
  desiredVersion: number;
  reported: JsonObject;
  /** `$version` of reported. */
  reportedVersion: number;
};

/** News about desired properties. */
export type DesiredChange = {
  /** What changed since the event before, as a merge patch; null means deleted. In the first event the whole section. */
  patch: JsonObject;
  /** The whole section as it is now. */
  desired: JsonObject;
  version: number;
};

/** @throws IotError `twin.bad_answer` */
export function readTwin(answer: JsonValue): Twin {
  if (!isJsonObject(answer)) throw badAnswer("it is no JSON object");
  const [desired, desiredVersion] = section(answer, "desired");
  const [reported, reportedVersion] = section(answer, "reported");
  return { desired, desiredVersion, reported, reportedVersion };
}

function section(answer: JsonObject, name: "desired" | "reported"): [JsonObject, number] {
  const found = Object.hasOwn(answer, name) ? answer[name] : undefined;
  if (!isJsonObject(found)) throw badAnswer(`it has no ${name} properties`);
  const { $version: version, ...properties } = found;
  if (typeof version !== "number") throw badAnswer(`its ${name} properties have no $version`);
  return [properties, version];
}

const badAnswer = (why: string): IotError =>
  new IotError("twin.bad_answer", `The answer to the twin request is not usable: ${why}`);
