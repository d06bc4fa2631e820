import type { Command } from "commander";
import { wholeNumber } from "../arguments.ts";
import { contextOf, withService } from "../context.ts";
import { interruptible } from "../interrupt.ts";
import { shown, table } from "../output.ts";

type QueryOptions = { top?: number; pageSize?: number };

export function addQueryCommand(program: Command): void {
  program
    .command("query <text>")
    .description("ask the hub in its query language, over devices and modules")
    .option("-n, --top <n>", "stop after that many", wholeNumber(1, 1_000_000_000))
    .option("--page-size <n>", "how many the hub sends at a time", wholeNumber(1, 1000))
    .addHelpText(
      "after",
      `
Prints a JSON object a line; an aggregate or a projection of plain values is a table.

Examples:
  $ hubwire query "SELECT * FROM devices WHERE tags.room = 'kitchen'"
  $ hubwire query "SELECT deviceId, connectionState FROM devices"
  $ hubwire query "SELECT COUNT() AS n, status FROM devices GROUP BY status"
  $ hubwire query "SELECT * FROM devices.modules WHERE properties.reported.version < 3" --json`,
    )
    .action((text: string, { top = Infinity, pageSize }: QueryOptions, command: Command) =>
      interruptible(async (signal) => {
        const { output, target } = contextOf(command);
        let count = 0;
        await withService(target(), async (client) => {
          const options = { signal, ...(pageSize === undefined ? {} : { pageSize }) };
          const result = client.query<Record<string, unknown>>(text, options);
          let header = "";
          for await (const { items } of result.pages()) {
            const wanted = items.slice(0, top - count);
            count += wanted.length;
            const columns = output.json ? undefined : columnsOf(wanted);
            if (columns === undefined) {
              for (const item of wanted) output.line(JSON.stringify(item), item);
            } else {
              const rows = wanted.map((item) => columns.map((name) => cell(item[name])));
              const isFirst = header === "";
              header = columns.join();
              output.line(table(isFirst ? [columns, ...rows] : rows), wanted);
            }
            if (count >= top) return;
          }
        });
        if (count === 0) output.note("Nothing matches.");
      }),
    );
}

/** Names for a table, when every item is flat: a twin is not. */
function columnsOf(items: readonly Record<string, unknown>[]): string[] | undefined {
  const isFlat = items.every((item) =>
    Object.values(item).every((value) => typeof value !== "object" || value === null),
  );
  if (!isFlat || items.length === 0) return undefined;
  return [...new Set(items.flatMap((item) => Object.keys(item)))];
}

const cell = (value: unknown): string =>
  value === undefined || value === null ? "-" : shown(String(value as string | number | boolean));
