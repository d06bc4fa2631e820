import type { ServiceClient } from "@hubwire/service";
import type { AmqpClient } from "@hubwire/service/amqp";
import type { Command } from "commander";
import { explained } from "./explain.ts";
import { createOutput, type Output } from "./output.ts";
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
  target: () => Target;
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

/** Runs `work` with a client of the hub's REST API; whatever happens, no connection stays open. */
export async function withService<T>(
  target: Target,
  work: (client: ServiceClient) => Promise<T>,
): Promise<T> {
  const { createServiceClient } = await import("@hubwire/service");
  const { createNodeFetch } = await import("@hubwire/service/node");
  using fetch = createNodeFetch(target.ca === undefined ? {} : { ca: target.ca });
  const { connectionString } = target;
  return explained(target, () => work(createServiceClient({ connectionString, fetch })));
}

/** The same over AMQP. */
export async function withAmqp<T>(
  target: Target,
  work: (client: AmqpClient) => Promise<T>,
): Promise<T> {
  const { createAmqpClient } = await import("@hubwire/service/amqp");
  const { connectionString, amqpPort, eventHubsConnectionString, ca } = target;
  await using client = createAmqpClient({
    connectionString,
    port: amqpPort,
    ...(ca === undefined ? {} : { ca }),
    ...(eventHubsConnectionString === undefined ? {} : { eventHubsConnectionString }),
  });
  return await explained(target, () => work(client));
}
