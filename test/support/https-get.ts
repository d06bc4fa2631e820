import { request } from "node:https";

/** The status a hub answers a GET without a token with. */
export function get(hub: { httpsPort: number; caPem: string }, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: "localhost", port: hub.httpsPort, path, ca: hub.caPem, agent: false },
      (incoming) => {
        incoming.resume();
        incoming.on("error", reject);
        incoming.on("end", () => resolve(incoming.statusCode ?? 0));
      },
    );
    outgoing.on("error", reject);
    outgoing.end();
  });
}
