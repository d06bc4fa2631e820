import type { IotError } from "@hubwire/protocol";

/** The seven things a newcomer sees happen. */
const flows = [
  "connect",
  "telemetry",
  "C2D",
  "method",
  "twin read",
  "reported",
  "desired",
] as const;
export type Flow = (typeof flows)[number];

export type Report = {
  readonly failed: boolean;
  /** A flow happened and was checked. */
  flow(name: Flow, detail: string, ms: number): void;
  flowFailed(name: Flow, error: unknown): void;
  /** A fact for people and programs alike. */
  fact(event: string, data: object, text: string): void;
  /** A line only people need. */
  note(text: string): void;
  summary(): void;
  error(known: IotError | undefined, error: unknown): void;
};

export function createReport(json: boolean): Report {
  const done = new Set<Flow>();
  let failed = false;
  const out = (line: string): boolean => process.stdout.write(`${line}\n`);
  const describe = (error: unknown): { message: string; code?: string; remedy?: string } => {
    if (!(error instanceof Error)) return { message: String(error) };
    const { code, remedy } = error as Partial<IotError>;
    return {
      message: error.message,
      ...(typeof code === "string" ? { code } : {}),
      ...(typeof remedy === "string" ? { remedy } : {}),
    };
  };
  return {
    get failed() {
      return failed;
    },
    flow(name, detail, ms) {
      done.add(name);
      if (json) out(JSON.stringify({ event: "flow", flow: name, ok: true, ms, detail }));
      else out(`  ✓ ${name.padEnd(10)} ${detail}  (${ms} ms)`);
    },
    flowFailed(name, error) {
      failed = true;
      const described = describe(error);
      if (json) out(JSON.stringify({ event: "flow", flow: name, ok: false, error: described }));
      else {
        out(`  ✗ ${name.padEnd(10)} ${described.message}`);
        if (described.remedy !== undefined) out(`    what to do: ${described.remedy}`);
      }
    },
    fact(event, data, text) {
      if (json) out(JSON.stringify({ event, ...data }));
      else out(text);
    },
    note(text) {
      if (!json) out(text);
    },
    summary() {
      const ok = done.size === flows.length && !failed;
      if (json) out(JSON.stringify({ event: "summary", ok, flows: done.size, of: flows.length }));
      else out(`\n${done.size} of ${flows.length} flows work.`);
      if (!ok) failed = true;
    },
    error(known, error) {
      failed = true;
      const described = describe(known ?? error);
      if (json) out(JSON.stringify({ event: "error", ...described }));
      else {
        process.stderr.write(`\n${described.message}\n`);
        if (described.remedy !== undefined) {
          process.stderr.write(`  what to do: ${described.remedy}\n`);
        }
      }
    },
  };
}
