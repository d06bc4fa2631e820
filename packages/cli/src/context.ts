import type { Command } from "commander";
import { createOutput, type Output } from "./output.ts";
import { RestClient } from "./service/rest-client.ts";
import { defaultDataDirectory, resolveTarget, type Target } from "./target.ts";

type GlobalOptions = {
  json?: boolean;
  connectionString?: string;
  ca?: string;
  data?: string;
};

/** What every command gets: its output, and the hub it talks to, resolved only when it is needed. */
export type Context = {
  output: Output;
  dataDirectory: string;
  /** `--ca`, a file. */
  ca: string | undefined;
  target(): Target;
};

export function contextOf(command: Command): Context {
  const { json, connectionString, ca, data } = command.optsWithGlobals<GlobalOptions>();
  const dataDirectory = data ?? defaultDataDirectory;
  return {
    output: createOutput(json === true),
    dataDirectory,
    ca,
    target: () => resolveTarget({ data: dataDirectory, connectionString, ca }),
  };
}

/** Runs `work` with a client that is closed afterwards, whatever happens. */
export async function withRest<T>(
  target: Target,
  work: (client: RestClient) => Promise<T>,
): Promise<T> {
  const client = new RestClient(target);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
