import failures from "./expected-failures.json" with { type: "json" };
import type { surfaces } from "./operations.ts";

export type ExpectedFailure = {
  surface: keyof typeof surfaces;
  operations: readonly string[];
  /** Default: all. */
  transports?: readonly string[];
  /** How name and message of the client's error begin. */
  error: string;
  why: string;
};

export const expectedFailures = failures as readonly ExpectedFailure[];

export const expectedFailure = (
  surface: keyof typeof surfaces,
  operation: string,
  transport: string,
): ExpectedFailure | undefined =>
  expectedFailures.find(
    (entry) =>
      entry.surface === surface &&
      entry.operations.includes(operation) &&
      entry.transports?.includes(transport) !== false,
  );
