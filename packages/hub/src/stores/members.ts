import type { MemberPath, MemberValues } from "../domain/ports.ts";

/** Indexes of one collection; past it the one that was not asked for longest goes. */
export const indexesMax = 16;
/** In a collection of no more documents than this a lookup reads all of them, without an index. */
export const unindexedDocumentsMax = 1_000;

/**
 * An index that nobody asks for is dropped after so many writes to its collection: each write pays for each index, and making
 * one again costs no more than some thousand writes do.
 */
export const unaskedWritesMax = 100_000;

const segmentCharactersMax = 256;
const segmentsMax = 12;

/**
 * The path as SQLite's JSON functions take it, which also names the index. Undefined where a name has characters that JSON
 * text or SQLite would write in another way, or is absurdly long: nobody is slower for it but whoever asks.
 */
export function memberPath(path: MemberPath): string | undefined {
  if (path.length === 0 || path.length > segmentsMax) return undefined;
  let text = "$";
  for (const segment of path) {
    if (typeof segment === "number") {
      if (!Number.isSafeInteger(segment) || segment < 0) return undefined;
      text += `[${segment}]`;
    } else {
      const isPlain = /^[^"\\\p{C}]+$/u.test(segment) && segment.length <= segmentCharactersMax;
      if (!isPlain) return undefined;
      text += `."${segment}"`;
    }
  }
  return text;
}

/**
 * Whether stores agree on these values. UTF-8 (SQLite) and UTF-16 (JavaScript) order text alike only as long as one of two
 * texts has no unit from the surrogates on.
 */
export const areIndexable = (values: readonly MemberValues[]): boolean =>
  values.every((one) => {
    const ends = "equals" in one ? [one.equals] : [one.from, one.to];
    return ends.every((end) => typeof end !== "string" || isOrderedAlike(end));
  });

function isOrderedAlike(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0 || unit >= 0xd800) return false;
  }
  return true;
}
