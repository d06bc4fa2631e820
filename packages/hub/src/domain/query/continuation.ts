import { createHash } from "node:crypto";
import { IotError } from "@hubwire/protocol";

/**
 * Where the next page begins. `identities` and `twins`: behind this key, in the order of that collection, so that devices
 * made or deleted meanwhile neither repeat nor hide others. `rows`: after so many rows of an aggregate.
 */
export type Position = {
  order: "identities" | "twins";
  after: string;
  /** Rows that TOP still allows; undefined without TOP. */
  left: number | undefined;
};
export type Continuation = Position | { order: "rows"; skip: number };

const version = 1;
const tokenCharactersMax = 2048;

/** Ties a token to its query: with another one it would silently skip results. */
const markOf = (text: string): string =>
  createHash("sha256").update(text).digest("base64url").slice(0, 12);

/** Opaque to callers, and nothing in it is secret. */
export function formatContinuation(text: string, next: Continuation): string {
  const place = next.order === "rows" ? next.skip : next.after;
  const left = next.order === "rows" ? null : (next.left ?? null);
  const json = JSON.stringify([version, markOf(text), next.order, place, left]);
  return Buffer.from(json).toString("base64url");
}

/** @throws IotError `query.bad_continuation` */
export function parseContinuation(text: string, token: string): Continuation {
  const parsed = token.length <= tokenCharactersMax ? readToken(token) : undefined;
  if (parsed === undefined) {
    throw new IotError("query.bad_continuation", "The continuation token cannot be read");
  }
  const [mark, next] = parsed;
  if (mark !== markOf(text)) {
    throw new IotError("query.bad_continuation", "The continuation token is for another query");
  }
  return next;
}

function readToken(token: string): [mark: string, next: Continuation] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
  if (!Array.isArray(value) || value.length !== 5 || value[0] !== version) return undefined;
  const [, mark, order, place, left] = value as unknown[];
  if (typeof mark !== "string") return undefined;
  if (order === "rows") return isCount(place) ? [mark, { order, skip: place }] : undefined;
  if (order !== "identities" && order !== "twins") return undefined;
  if (typeof place !== "string" || !(left === null || isCount(left))) return undefined;
  return [mark, { order, after: place, left: left ?? undefined }];
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
