import type { QueryColumn } from "./ast.ts";

/**
 * The names of a result's columns: the alias, else the last name of the path, else `$1`, `$2` … for what has none.
 * Azure's documentation gives every aggregate an alias and does not say what happens without.
 */
export function columnNames(columns: readonly QueryColumn[]): string[] {
  let unnamed = 0;
  return columns.map(({ alias, value }) => {
    if (alias !== undefined) return alias;
    const last = value.type === "path" ? value.path.at(-1) : undefined;
    return typeof last === "string" ? last : `$${++unnamed}`;
  });
}
