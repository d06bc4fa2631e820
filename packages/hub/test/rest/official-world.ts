import { Agent } from "node:https";
import { Registry } from "azure-iothub";
import { afterEach } from "vitest";
import { certificates, createTlsWorld } from "./tls-world.ts";
import { hostName } from "./rest-world.ts";

type Connect = (options: object, callback?: unknown) => unknown;
const prototype = Agent.prototype as unknown as { createConnection: Connect };
const original = prototype.createConnection;

afterEach(() => {
  prototype.createConnection = original;
});

/** The official client dials port 443 of its host and nothing else: what it dials is led to `port` of this machine. */
export function leadHere(port: number, ca: string): void {
  prototype.createConnection = function (this: Agent, options, callback) {
    const { port: dialled } = options as { port?: number | string };
    if (Number(dialled) !== 443) return original.call(this, options, callback);
    const here = { host: "127.0.0.1", port, servername: "localhost", ca };
    return original.call(this, { ...options, ...here }, callback);
  };
}

/** The REST surface over TLS and the official `Registry` in front of it, as it is installed from the registry. */
export async function createOfficialWorld() {
  const world = await createTlsWorld();
  leadHere(world.port, certificates.root.cert);
  const connectionString = (policyName: string): string => {
    const policy = world.policies.find(({ name }) => name === policyName);
    return `HostName=${hostName};SharedAccessKeyName=${policyName};SharedAccessKey=${policy?.primaryKey ?? ""}`;
  };
  const registryAs = (policyName: string): Registry =>
    Registry.fromConnectionString(connectionString(policyName));
  return { ...world, connectionString, registryAs, registry: registryAs("iothubowner") };
}

/** Name and message of what a call of the official client is refused with. */
export async function errorOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "no error";
  } catch (error) {
    const { name, message } = error as Error;
    return `${name}: ${message}`;
  }
}
