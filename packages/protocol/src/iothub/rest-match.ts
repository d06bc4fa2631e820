import { percentDecode } from "./percent.ts";
import { absentRoutes } from "./rest-absent-routes.ts";
import type { AbsentFeature } from "./rest-absent-routes.ts";
import { restRoutes } from "./rest-routes.ts";
import type { RestRoute, RestRouteName } from "./rest-routes.ts";

export type RouteMatch = {
  route: RestRoute & { readonly name: RestRouteName };
  /** Decoded once, verbatim otherwise; "" where the route has no such id. */
  params: RouteParams;
  /** Decoded query members by name as sent (no prototype); the first of a repeated name wins. */
  query: Record<string, string>;
  /** The decoded path, for the token's scope check. */
  segments: readonly string[];
};

export type RouteParams = { deviceId: string; moduleId: string; lockToken: string };

export type RouteMismatch =
  | { error: "not_found" }
  /** Azure has this call and this hub does not. */
  | { error: "absent"; feature: AbsentFeature }
  /** `allow`: what the path does take. */
  | { error: "method_not_allowed"; allow: readonly string[] }
  | { error: "malformed"; why: string };

type Compiled<T> = { route: T; segments: readonly string[] };
const compile = <T extends { path: string }>(route: T): Compiled<T> => ({
  route,
  segments: route.path.slice(1).split("/"),
});
const compiled: readonly Compiled<RouteMatch["route"]>[] = restRoutes.map(compile);
const compiledAbsent = absentRoutes.map(compile);

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
  const found = onPath.find((candidate) => candidate.route.method === method);
  if (found === undefined) return mismatch(method, segments, onPath);
  const query = mark < 0 ? {} : readQuery(pathAndQuery.slice(mark + 1));
  if (query === undefined) {
    return { error: "malformed", why: "the query is not percent-encoded UTF-8" };
  }
  return { route: found.route, params: readParams(found.segments, segments), query, segments };
}

function mismatch(
  method: string,
  segments: readonly string[],
  served: readonly Compiled<{ method: string }>[],
): RouteMismatch {
  const absent = compiledAbsent.filter((candidate) => fits(candidate.segments, segments));
  const known = absent.find(({ route }) => route.method === method);
  if (known !== undefined) return { error: "absent", feature: known.route.feature };
  const methods = [...served, ...absent].map(({ route }) => route.method);
  if (methods.length === 0) return { error: "not_found" };
  return { error: "method_not_allowed", allow: [...new Set(methods)] };
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((expected, i) => {
    const segment = segments[i] ?? "";
    return expected.startsWith("{") ? segment !== "" : segment.toLowerCase() === expected;
  });
}

function readParams(pattern: readonly string[], segments: readonly string[]): RouteParams {
  const valueOf = (name: string): string => segments[pattern.indexOf(name)] ?? "";
  return {
    deviceId: valueOf("{deviceId}"),
    moduleId: valueOf("{moduleId}"),
    lockToken: valueOf("{lockToken}"),
  };
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
