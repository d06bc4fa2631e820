import { isDeviceId, matches } from "@hubwire/protocol";
import type { JsonObject, ParsedQuery, QueryExpression, QueryPath } from "@hubwire/protocol";
import type { MemberPath, MemberValues } from "../ports.ts";
import { noTime } from "../twins/facts.ts";

/**
 * A way to come by the documents that can pass WHERE, without reading all. Each gives more than pass, never less: what it
 * gives is read and checked.
 */
export type Access =
  /** Identity keys, sorted. */
  | { by: "keys"; keys: readonly string[] }
  | { by: "prefix"; prefix: string }
  /** Who is connected, or was since the hub started. */
  | { by: "presence"; of: "connected" | "seen" }
  | {
      by: "member";
      collection: "identities" | "twins";
      path: MemberPath;
      values: readonly MemberValues[];
    };

/** Values of one IN list that are looked up one by one; a longer list is checked document by document. */
const lookedUpMax = 1_000;

type Simple = { path: QueryPath; values: readonly MemberValues[]; test: QueryExpression };

/** Every way that WHERE offers, the surest first. Empty: all documents have to be read. */
export function accessesOf({ where, from }: ParsedQuery): Access[] {
  const found = conjuncts(where).flatMap((one) => {
    const simple = simpleTest(one);
    const access = simple && accessOf(simple, from === "devices.modules");
    return access === undefined ? [] : [access];
  });
  if (from === "devices.modules") {
    const values: MemberValues[] = [{ type: "string", from: undefined, to: undefined }];
    found.push({ by: "member", collection: "identities", path: ["moduleId"], values });
  }
  const rank = { keys: 0, prefix: 1, presence: 2, member: 3 };
  return found.toSorted((a, b) => rank[a.by] - rank[b.by]);
}

function conjuncts(where: QueryExpression | undefined): QueryExpression[] {
  if (where === undefined) return [];
  return where.type === "and" ? where.operands.flatMap(conjuncts) : [where];
}

const flipped = { "=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<=" } as const;

/** A test of one member against constants. */
function simpleTest(test: QueryExpression): Simple | undefined {
  if (test.type === "compare") {
    const { left, right, operator } = test;
    if (left.type === "path" && right.type === "literal") {
      return withValues(left.path, compared(operator, right.value), test);
    }
    if (left.type === "literal" && right.type === "path") {
      return withValues(right.path, compared(flipped[operator], left.value), test);
    }
  }
  if (test.type === "in" && test.left.type === "path" && test.right.type === "array") {
    const { elements } = test.right;
    if (elements.length > lookedUpMax) return undefined;
    const values = elements.map((one) =>
      one.type === "literal" ? compared("=", one.value) : undefined,
    );
    const known = values.filter((one) => one !== undefined);
    if (known.length === values.length) return { path: test.left.path, values: known, test };
  }
  if (test.type === "call" && /^STARTS_?WITH$/.test(test.name)) {
    const [member, start] = test.args;
    if (member?.type === "path" && start?.type === "literal" && typeof start.value === "string") {
      return withValues(member.path, startingWith(start.value), test);
    }
  }
  return undefined;
}

const withValues = (
  path: QueryPath,
  values: MemberValues | undefined,
  test: QueryExpression,
): Simple | undefined => values && { path, values: [values], test };

function compared(
  operator: keyof typeof flipped,
  value: string | number | boolean | null,
): MemberValues | undefined {
  if (value === null || operator === "!=") return undefined;
  if (operator === "=") return { equals: value };
  const isUpper = operator === "<" || operator === "<=";
  if (typeof value === "number") {
    return isUpper
      ? { type: "number", from: undefined, to: value }
      : { type: "number", from: value, to: undefined };
  }
  if (typeof value === "string") {
    return isUpper
      ? { type: "string", from: undefined, to: value }
      : { type: "string", from: value, to: undefined };
  }
  return undefined;
}

/** Up to the first text behind all that begin so. */
function startingWith(start: string): MemberValues {
  const last = start.charCodeAt(start.length - 1);
  const to = start === "" ? undefined : start.slice(0, -1) + String.fromCharCode(last + 1);
  return { type: "string", from: start, to };
}

/** Members of the service's own that stand in the identity, where devices and modules have their own. */
const identityMembers: Readonly<Record<string, MemberPath>> = {
  authenticationType: ["authentication", "type"],
  "capabilities.iotEdge": ["iotEdge"],
  moduleId: ["moduleId"],
};
/** The same, where a module shows its device's. */
const deviceMembers: Readonly<Record<string, MemberPath>> = {
  status: ["status"],
  statusReason: ["statusReason"],
};

function accessOf({ path, values, test }: Simple, ofModules: boolean): Access | undefined {
  const name = path.join(".");
  if (name === "deviceId") return byDeviceId(values, test, ofModules);
  const inIdentity = { ...identityMembers, ...(ofModules ? {} : deviceMembers) };
  const member = Object.hasOwn(inIdentity, name) ? inIdentity[name] : undefined;
  if (member !== undefined) {
    return { by: "member", collection: "identities", path: member, values };
  }
  if (name === "connectionState" && !passes(test, { connectionState: "Disconnected" })) {
    return { by: "presence", of: "connected" };
  }
  if (name === "lastActivityTime" && !passes(test, { lastActivityTime: noTime })) {
    return { by: "presence", of: "seen" };
  }
  const inTwin = twinMember(path, test);
  return inTwin && { by: "member", collection: "twins", path: inTwin, values };
}

/** Whether a document that has nothing but a default can pass: then those without a document of their own count too. */
const passes = (test: QueryExpression, defaults: JsonObject): boolean => matches(test, defaults);

function byDeviceId(
  values: readonly MemberValues[],
  test: QueryExpression,
  ofModules: boolean,
): Access | undefined {
  const equals = values.flatMap((one) => ("equals" in one ? [one.equals] : []));
  if (equals.length === values.length) {
    const ids = equals.filter((id) => typeof id === "string").filter((id) => isDeviceId(id));
    if (!ofModules) return { by: "keys", keys: [...new Set(ids)].toSorted() };
    return ids.length === 1 ? { by: "prefix", prefix: `${ids[0]}/` } : undefined;
  }
  const [only] = values;
  if (test.type !== "call" || only === undefined || !("type" in only)) return undefined;
  const prefix = String(only.from);
  if (prefix === "") return undefined;
  return isDeviceId(prefix) ? { by: "prefix", prefix } : { by: "keys", keys: [] };
}

/** Where a twin at rest has the member; undefined for what also a twin that was never written to has. */
function twinMember(path: QueryPath, test: QueryExpression): MemberPath | undefined {
  const [root, section, ...rest] = path;
  if (root === "modelId" && path.length === 1) {
    return passes(test, { modelId: "" }) ? undefined : ["modelId"];
  }
  if (root === "tags" && section !== undefined) return ["twin", "tags", section, ...rest];
  if (root !== "properties" || (section !== "desired" && section !== "reported")) return undefined;
  const [first] = rest;
  if (typeof first !== "string" || first.startsWith("$")) return undefined;
  return ["twin", section, "properties", ...rest];
}
