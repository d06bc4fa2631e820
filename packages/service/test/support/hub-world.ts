import { startHub, type Hub, type HubConfig } from "@hubwire/hub";
import { createServiceClient, type ServiceClient } from "@hubwire/service";
import { createNodeFetch } from "@hubwire/service/node";

export type HubWorld = AsyncDisposable & { hub: Hub; client: ServiceClient };

/** A hub in memory on free ports, and our client for it. */
export async function hubWorld(config: HubConfig = {}): Promise<HubWorld> {
  const hub = await startHub({ logLevel: "silent", ...config });
  const fetch = createNodeFetch({ ca: hub.caPem });
  const client = createServiceClient({ connectionString: hub.connectionString(), fetch });
  return {
    hub,
    client,
    async [Symbol.asyncDispose]() {
      fetch.close();
      await hub.stop();
    },
  };
}
