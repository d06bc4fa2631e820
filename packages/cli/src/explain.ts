import { join } from "node:path";
import { IotError } from "@hubwire/protocol";
import type { Target } from "./target.ts";

/** Runs `work`; what keeps it from its hub is told in words about this hub, this directory and this CA file. */
export async function explained<T>(target: Target, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explain(target, error);
  }
}

export function explain(target: Target, error: unknown): unknown {
  if (!(error instanceof IotError)) return error;
  const { localDirectory } = target;
  if (error.code === "transport.refused" && localDirectory !== undefined) {
    return new IotError(
      "cli.hub_not_running",
      `The hub in ${localDirectory} is not running. ${error.message}`,
      { cause: error },
    );
  }
  if (error.code === "transport.tls_untrusted") {
    const message = `The certificate of ${target.hostName} is not from ${trusted(target)}.`;
    return new IotError(error.code, message, { cause: error });
  }
  return error;
}

function trusted({ ca, caFile, localDirectory }: Target): string {
  if (ca === undefined) return "a CA that this command trusts (--ca adds one)";
  const isOwn = localDirectory !== undefined && caFile === join(localDirectory, "ca.pem");
  const guess = isOwn ? `: another program has the port of the hub in ${localDirectory}` : "";
  return `the CA in ${caFile ?? "use"}${guess}`;
}
