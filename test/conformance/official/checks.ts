/** The side of the clients: operations are carried out one by one, and what became of each is the program's output. */
import { surfaces } from "./operations.ts";

export type Outcome = {
  transport: string;
  operation: string;
  /** Absent when all was as expected. `name` is the error's as the client shows it. */
  failure?: { name: string; message: string };
};

/** An operation that takes longer than this has failed, milliseconds. */
const operationMs = 20_000;

export class Checks {
  readonly outcomes: Outcome[] = [];
  readonly #operations: readonly string[];
  readonly #transport: string;

  constructor(surface: keyof typeof surfaces, transport: string) {
    this.#operations = surfaces[surface].operations;
    this.#transport = transport;
  }

  async does(operation: string, work: () => unknown): Promise<void> {
    if (!this.#operations.includes(operation)) throw new Error(`not in the table: ${operation}`);
    const transport = this.#transport;
    try {
      await within(operationMs, Promise.resolve().then(work));
      this.outcomes.push({ transport, operation });
    } catch (error) {
      const { name, message } = error as Error;
      this.outcomes.push({ transport, operation, failure: { name, message } });
    }
  }
}

/** Rejects when `work` takes longer. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What `call` is refused with. */
export async function refusal(call: () => unknown): Promise<Error & Record<string, unknown>> {
  try {
    await call();
  } catch (error) {
    return error as Error & Record<string, unknown>;
  }
  throw new Error("it was not refused");
}

/** Ends the program: some clients keep timers that nobody can end. */
export function report(all: readonly Checks[]): void {
  const text = JSON.stringify(all.flatMap(({ outcomes }) => outcomes));
  process.stdout.write(`${text}\n`, () => process.exit(0));
}

/** What a program is told by the one that started it. */
export type Given = {
  /** Connection strings by policy. */
  service: Record<string, string>;
  events: string;
  eventsPlain: string;
  identities: Record<string, GivenIdentity>;
  provisioning: { idScope: string; groupKey: string; key: string };
};
export type GivenIdentity = { cert: string; key: string; thumbprint: string };

export const given = (): Given => JSON.parse(process.env["OFFICIAL_GIVEN"] ?? "{}") as Given;
