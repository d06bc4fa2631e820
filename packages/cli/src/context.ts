import type { Command } from "commander";
import { createOutput, type Output } from "./output.ts";
import { RestClient } from "./service/rest-client.ts";
import { defaultDataDirectory, resolveTarget, type Target } from "./target.ts";

export type GlobalOptions = {
  json?: boolean;
  connectionString?: string;
  ca?: string;
  data?: string;
};

/** What every command gets: its output, and the hub it talks to, resolved only when it is needed. */
export type Context = {
  output: Output;
  dataDirectory: string;
  target(): Target;
  rest(): RestClient;
};

export function contextOf(command: Command): Context {
  const options = command.optsWithGlobals<GlobalOptions>();
  const dataDirectory = options.data ?? defaultDataDirectory;
  const target = (): Target =>
    resolveTarget({
      data: dataDirectory,
      ...(options.connectionString === undefined
        ? {}
        : { connectionString: options.connectionString }),
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    });
  return {
    output: createOutput(options.json === true),
    dataDirectory,
    target,
    rest: () => new RestClient(target()),
  };
}

/** Runs `work` with a client that is closed afterwards, whatever happens. */
export async function withRest<T>(
  context: Context,
  work: (client: RestClient) => Promise<T>,
): Promise<T> {
  const client = context.rest();
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
