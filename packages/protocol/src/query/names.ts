import type { QueryCollection } from "./ast.ts";

/** Words that cannot stand alone as the root of a path. After a dot any name is a name. */
export const reservedWords: ReadonlySet<string> = new Set([
  ..."SELECT TOP FROM WHERE GROUP BY AS AND OR NOT IN NIN".split(" "),
  ..."TRUE FALSE NULL UNDEFINED".split(" "),
]);

/** Root members and the ones below them that the service names; they may be written in any case. */
const roots: Readonly<Record<string, readonly string[]>> = {
  deviceId: [],
  moduleId: [],
  etag: [],
  deviceEtag: [],
  status: [],
  statusReason: [],
  statusUpdateTime: [],
  connectionState: [],
  lastActivityTime: [],
  cloudToDeviceMessageCount: [],
  authenticationType: [],
  x509Thumbprint: ["primaryThumbprint", "secondaryThumbprint"],
  modelId: [],
  version: [],
  tags: [],
  properties: ["desired", "reported"],
  capabilities: ["iotEdge"],
  deviceScope: [],
  parentScopes: [],
};

const byLowerCase = (names: readonly string[]): ReadonlyMap<string, string> =>
  new Map(names.map((name) => [name.toLowerCase(), name]));
const rootNames = byLowerCase(Object.keys(roots));
const secondNames = new Map(
  Object.entries(roots).map(([root, names]) => [root, byLowerCase(names)] as const),
);
const jobNames = byLowerCase([
  ..."deviceId moduleId jobId jobType status startTimeUtc endTimeUtc".split(" "),
  ..."createdDateTimeUtc lastUpdatedDateTimeUtc outcome error".split(" "),
]);

/**
 * Takes the name of the collection from the front of a path and gives the service's own names their spelling, in place.
 * Keys of tags and properties stay as they are: they are case-sensitive.
 */
export function canonicalize(path: (string | number)[], from: QueryCollection): void {
  const prefix = from.split(".");
  const isPrefixed = prefix.every((name, index) => {
    const segment = path[index];
    return typeof segment === "string" && segment.toLowerCase() === name;
  });
  if (isPrefixed) path.splice(0, prefix.length);
  const [first, second] = path;
  if (typeof first !== "string") return;
  if (from === "devices.jobs") {
    path[0] = jobNames.get(first.toLowerCase()) ?? first;
    return;
  }
  const root = rootNames.get(first.toLowerCase()) ?? first;
  path[0] = root;
  if (typeof second !== "string") return;
  path[1] = secondNames.get(root)?.get(second.toLowerCase()) ?? second;
}
