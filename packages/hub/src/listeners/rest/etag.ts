import type { RestRequest } from "./exchange.ts";

/** SDKs send etags bare and quoted, and the wildcard as `*` and `"*"`; a weak etag is compared like any. */
export const bareEtag = (text: string): string => /^(?:W\/)?"(.*)"$/.exec(text)?.[1] ?? text;

/** What If-Match asks for, bare; undefined when there is none. */
export function ifMatchOf({ headers }: RestRequest): string | undefined {
  const header = headers["if-match"]?.trim();
  return header === undefined || header === "" ? undefined : bareEtag(header);
}
