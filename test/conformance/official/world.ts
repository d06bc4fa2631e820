import { expect } from "vitest";
import { runInNamespace } from "../../support/namespace.ts";
import type { Outcome } from "./checks.ts";
import { expectedFailure } from "./expected-failures.ts";
import { surfaces } from "./operations.ts";

/** Runs the program of a surface beside a hub; with `transport` only its part for that one. */
export async function runOfficial(
  surface: keyof typeof surfaces,
  transport?: string,
): Promise<Outcome[]> {
  const { code, stdout, stderr } = await runInNamespace(
    "test/conformance/official/hub.scenario.ts",
    { args: [surface, ...(transport === undefined ? [] : [transport])], timeoutMs: 28_000 },
  );
  expect(code, `${stderr}\n${stdout}`).toBe(0);
  return JSON.parse(stdout) as Outcome[];
}

const works = "works";

/** Every operation of the table was carried out on every transport, and failed exactly where it is said to. */
export function expectTable(surface: keyof typeof surfaces, outcomes: readonly Outcome[]): void {
  const { transports, operations } = surfaces[surface];
  const expected: Record<string, string> = {};
  const seen: Record<string, string> = {};
  for (const operation of operations) {
    for (const transport of transports) {
      const failure = expectedFailure(surface, operation, transport);
      expected[`${operation} (${transport})`] =
        failure === undefined ? works : `fails as ${failure.error}`;
    }
  }
  for (const { operation, transport, failure } of outcomes) {
    const entry = expectedFailure(surface, operation, transport);
    const text = failure === undefined ? works : `${failure.name}: ${failure.message}`;
    const isExpected = entry !== undefined && failure !== undefined && text.startsWith(entry.error);
    seen[`${operation} (${transport})`] = isExpected ? `fails as ${entry.error}` : text;
  }
  expect(seen).toEqual(expected);
}
