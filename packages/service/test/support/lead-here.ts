import { Agent } from "node:https";

type Connect = (options: object, callback?: unknown) => unknown;
const prototype = Agent.prototype as unknown as { createConnection: Connect };
const original = prototype.createConnection;

/** The official client dials port 443 and nothing else: what it dials is led to `port`. Returns how to end that. */
export function leadHere(port: number, ca: string): () => void {
  prototype.createConnection = function (this: Agent, options, callback) {
    const { port: dialled } = options as { port?: number | string };
    if (Number(dialled) !== 443) return original.call(this, options, callback);
    const here = { host: "127.0.0.1", port, servername: "localhost", ca };
    return original.call(this, { ...options, ...here }, callback);
  };
  return () => {
    prototype.createConnection = original;
  };
}
