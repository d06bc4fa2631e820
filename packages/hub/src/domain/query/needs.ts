import type { ParsedQuery, QueryColumnValue, QueryExpression, QueryPath } from "@hubwire/protocol";

/** What has to be read beside the identity to know a twin's JSON as far as a query looks at it. */
export type Needs = {
  twin: boolean;
  c2dCount: boolean;
  /** What only the identity and the connection know. */
  identity: boolean;
};

const twinRoots: ReadonlySet<string | number> = new Set(
  "etag version tags properties modelId".split(" "),
);

const nothing: Needs = { twin: false, c2dCount: false, identity: false };
const everything: Needs = { twin: true, c2dCount: true, identity: true };
export const both = (a: Needs, b: Needs): Needs => ({
  twin: a.twin || b.twin,
  c2dCount: a.c2dCount || b.c2dCount,
  identity: a.identity || b.identity,
});

/** What WHERE looks at. */
export const needsOfWhere = ({ where }: ParsedQuery): Needs =>
  where === undefined ? nothing : needsOf(where);

/** What the rows show, GROUP BY included. */
export function needsOfRows({ select, groupBy }: ParsedQuery): Needs {
  if (select === "*") return everything;
  const ofColumns = select.map(({ value }) => needsOf(value)).reduce(both, nothing);
  return groupBy === undefined ? ofColumns : both(ofColumns, needsOfPath(groupBy));
}

function needsOfPath([root]: QueryPath): Needs {
  if (root === undefined) return everything;
  const twin = twinRoots.has(root);
  const c2dCount = root === "cloudToDeviceMessageCount";
  return { twin, c2dCount, identity: !twin };
}

function needsOf(value: QueryColumnValue): Needs {
  const ofAll = (all: readonly QueryExpression[]): Needs => all.map(needsOf).reduce(both, nothing);
  switch (value.type) {
    case "path":
      return needsOfPath(value.path);
    case "aggregate":
      return value.path === undefined ? nothing : needsOfPath(value.path);
    case "array":
      return ofAll(value.elements);
    case "call":
      return ofAll(value.args);
    case "not":
    case "negate":
      return needsOf(value.operand);
    case "and":
    case "or":
      return ofAll(value.operands);
    case "compare":
    case "in":
    case "nin":
    case "arithmetic":
      return both(needsOf(value.left), needsOf(value.right));
    case "literal":
    case "undefined":
      return nothing;
  }
}
