import { percentDecode } from "./percent.ts";
import { restRoutes } from "./rest-routes.ts";
import type { RestRoute, RestRouteName } from "./rest-routes.ts";

export type RouteMatch = {
  route: RestRoute & { readonly name: RestRouteName };
  /** Decoded once, verbatim otherwise; "" where the route has no such id. */
  params: { deviceId: string; moduleId: string };
  /** Decoded query members by name as sent (no prototype); the first of a repeated name wins. */
  query: Record<string, string>;
  /** The decoded path, for the token's scope check. */
  segments: readonly string[];
};

export type RouteMismatch =
  | { error: "not_found" }
  /** `allow`: what the path does take. */
  | { error: "method_not_allowed"; allow: readonly string[] }
  | { error: "malformed"; why: string };

type Compiled = { route: RouteMatch["route"]; segments: readonly string[] };
const compiled: readonly Compiled[] = restRoutes.map((route) => ({
  route,
  segments: route.path.slice(1).split("/"),
}));

/** Longest request target worth reading, characters: two ids of 128 and a query fit many times. */
const targetCharactersMax = 8192;

/**
 * Finds the route of a request. Fixed segments ignore case and a slash at the end is tolerated (SDKs differ in both); ids
 * are taken verbatim after one percent-decoding. Never throws.
 * @param method HTTP method in capitals
 * @param pathAndQuery the request target, such as `/devices/dev%231?api-version=2021-04-12`
 */
export function matchRoute(method: string, pathAndQuery: string): RouteMatch | RouteMismatch {
  if (pathAndQuery.length > targetCharactersMax || !pathAndQuery.startsWith("/")) {
    return { error: "malformed", why: "the request target is too long or not a path" };
  }
  const mark = pathAndQuery.indexOf("?");
  const path = mark < 0 ? pathAndQuery : pathAndQuery.slice(0, mark);
  const segments: string[] = [];
  for (const raw of path.slice(1, path.endsWith("/") ? -1 : undefined).split("/")) {
    const segment = percentDecode(raw);
    if (segment === undefined) {
      return { error: "malformed", why: "the path is not percent-encoded UTF-8" };
    }
    segments.push(segment);
  }
  const onPath = compiled.filter((candidate) => fits(candidate.segments, segments));
  if (onPath.length === 0) return { error: "not_found" };
  const found = onPath.find((candidate) => candidate.route.method === method);
  if (found === undefined) {
    return { error: "method_not_allowed", allow: onPath.map(({ route }) => route.method) };
  }
  const query = mark < 0 ? {} : readQuery(pathAndQuery.slice(mark + 1));
  if (query === undefined) {
    return { error: "malformed", why: "the query is not percent-encoded UTF-8" };
  }
  return { route: found.route, params: readParams(found.segments, segments), query, segments };
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((expected, i) => {
    const segment = segments[i] ?? "";
    return expected.startsWith("{") ? segment !== "" : segment.toLowerCase() === expected;
  });
}

function readParams(
  pattern: readonly string[],
  segments: readonly string[],
): { deviceId: string; moduleId: string } {
  const valueOf = (name: string): string => segments[pattern.indexOf(name)] ?? "";
  return { deviceId: valueOf("{deviceId}"), moduleId: valueOf("{moduleId}") };
}

function readQuery(text: string): Record<string, string> | undefined {
  const query = Object.create(null) as Record<string, string>;
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = percentDecode(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? "" : percentDecode(pair.slice(equals + 1));
    if (name === undefined || value === undefined) return undefined;
    query[name] ??= value;
  }
  return query;
}
