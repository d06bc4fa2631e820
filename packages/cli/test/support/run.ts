import { vi } from "vitest";
import { main } from "../../src/main.ts";

export type Ran = { code: number; stdout: string; stderr: string };

/** Runs one command line in this process and catches what it prints. */
export async function run(...args: string[]): Promise<Ran> {
  let stdout = "";
  let stderr = "";
  const out = vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
    stdout += String(chunk);
    return true;
  });
  const err = vi.spyOn(process.stderr, "write").mockImplementation((chunk) => {
    stderr += String(chunk);
    return true;
  });
  try {
    return { code: await main(args), stdout, stderr };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

/** Every line as the JSON object it must be. */
export function objectsIn(text: string): Record<string, unknown>[] {
  if (text === "") return [];
  if (!text.endsWith("\n")) throw new Error(`the last line is not ended: ${text}`);
  return text
    .slice(0, -1)
    .split("\n")
    .map((line) => {
      const value = JSON.parse(line) as unknown;
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw new Error(`not an object: ${line}`);
      }
      return value as Record<string, unknown>;
    });
}

/** The error a command told with --json. */
export function errorIn(ran: Ran): { code: string; message: string; remedy: string } {
  const [first, ...more] = objectsIn(ran.stderr);
  if (first === undefined || more.length > 0) throw new Error(`not one error: ${ran.stderr}`);
  return first["error"] as { code: string; message: string; remedy: string };
}
