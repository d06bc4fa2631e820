import { Registry } from "azure-iothub";
import { buildSasToken, emptyApplicationProperties } from "@hubwire/protocol";
import { createHmac } from "node:crypto";
import { Agent, request } from "node:https";
import { afterEach, expect, test } from "vitest";
import { startHub } from "../../src/hub.ts";
import type { Hub } from "../../src/hub-types.ts";
import { errorOf, leadHere } from "./official-world.ts";
import { version } from "./rest-world.ts";

const hubs: Hub[] = [];
afterEach(async () => {
  for (const hub of hubs.splice(0)) await hub.stop({ timeoutMs: 0 });
});

/** A whole hub, with the official client led to it. */
async function createHubWorld() {
  const hub = await startHub({ amqpPort: 0, amqpPlainPort: 0 });
  hubs.push(hub);
  leadHere(hub.httpsPort, hub.caPem);
  const registry = Registry.fromConnectionString(hub.connectionString());
  return { hub, registry };
}

/** Every page of a query, as the official client walks through them. */
async function pagesOf(registry: Registry, text: string, pageSize: number): Promise<unknown[][]> {
  const query = registry.createQuery(text, pageSize);
  const pages: unknown[][] = [];
  while (query.hasMoreResults) {
    // The client's own promise form forgets its token.
    const { result } = await (query.continuationToken === undefined
      ? query.next()
      : query.next(query.continuationToken));
    pages.push(result as unknown[]);
    if (pages.length > 20) throw new Error("the pages do not end");
  }
  return pages;
}

test("azure-iothub walks through a query page by page, to its end", async () => {
  const { registry } = await createHubWorld();
  const devices = Array.from({ length: 7 }, (_, i) => ({ deviceId: `d${i}` }));
  await registry.addDevices(devices);
  await registry.updateTwin("d3", { tags: { site: "north" } }, "*");
  const pages = await pagesOf(registry, "SELECT * FROM devices", 3);
  expect(pages.map(({ length }) => length)).toEqual([3, 3, 1]);
  expect(pages.flat()).toMatchObject(devices);
  const north = "SELECT deviceId FROM devices WHERE tags.site = 'north'";
  expect(await pagesOf(registry, north, 3)).toEqual([[{ deviceId: "d3" }]]);
  const exact = await pagesOf(registry, "SELECT * FROM devices", 7);
  expect(exact.map(({ length }) => length)).toEqual([7]);
});

test("azure-iothub reads a query's twins as twins, and is told what is wrong with a query", async () => {
  const { registry } = await createHubWorld();
  await registry.create({ deviceId: "d" });
  const query = registry.createQuery("SELECT * FROM devices");
  const { result } = (await query.nextAsTwin()) as unknown as {
    result: { deviceId: string; get: unknown }[];
  };
  expect(result.map(({ deviceId }) => deviceId)).toEqual(["d"]);
  expect(typeof result[0]?.get).toBe("function");
  expect(await errorOf(pagesOf(registry, "SELECT FROM", 1))).toMatch(/^ArgumentError: /);
});

test("feedback of purged messages comes over HTTP, once it is completed never again", async () => {
  const { hub, registry } = await createHubWorld();
  const ids = ["a", "b"];
  await registry.addDevices(ids.map((deviceId) => ({ deviceId })));
  for (const deviceId of ids) {
    for (let i = 0; i < 32; i++) {
      await hub.c2d.send(deviceId, {
        properties: {
          system: { messageId: `${deviceId}${i}` },
          application: emptyApplicationProperties(),
        },
        ack: "full",
        expiresAtMs: undefined,
        body: new Uint8Array(1),
      });
    }
  }
  const [, key = ""] = /SharedAccessKey=(.+)$/.exec(hub.connectionString("service")) ?? [];
  const authorization = await buildSasToken(
    {
      resource: hub.hostName,
      expiresAtS: Math.floor(Date.now() / 1000) + 600,
      policyName: "service",
    },
    async (text) => createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64"),
  );
  const agent = new Agent({ ca: hub.caPem });
  const send = (method: string, path: string) =>
    new Promise<{ status: number; etag: string; body: string }>((resolve, reject) => {
      const options = { host: "localhost", port: hub.httpsPort, agent, method };
      request({ ...options, path: `${path}?${version}`, headers: { authorization } })
        .on("error", reject)
        .on("response", (response) => {
          let body = "";
          response.on("data", (chunk) => (body += String(chunk)));
          const { statusCode: status = 0, headers } = response;
          response.on("end", () => resolve({ status, etag: headers.etag ?? "", body }));
        })
        .end();
    });
  const feedback = "/messages/serviceBound/feedback";
  expect((await send("GET", feedback)).status).toBe(204);
  for (const deviceId of ids) {
    const purged = await send("DELETE", `/devices/${deviceId}/commands`);
    expect(JSON.parse(purged.body)).toEqual({ deviceId, moduleId: null, totalMessagesPurged: 32 });
  }
  let batch = await send("GET", feedback);
  while (batch.status === 204) batch = await send("GET", feedback);
  const records = JSON.parse(batch.body) as { originalMessageId: string; statusCode: string }[];
  expect(records).toHaveLength(64);
  expect(new Set(records.map(({ statusCode }) => statusCode))).toEqual(new Set(["Purged"]));
  expect(records.map(({ originalMessageId }) => originalMessageId).slice(0, 2)).toEqual([
    "a0",
    "a1",
  ]);
  const lock = `${feedback}/${encodeURIComponent(batch.etag.replaceAll('"', ""))}`;
  expect((await send("POST", `${lock}/abandon`)).status).toBe(204);
  const again = await send("GET", feedback);
  expect(again.body).toBe(batch.body);
  const newLock = `${feedback}/${encodeURIComponent(again.etag.replaceAll('"', ""))}`;
  expect((await send("DELETE", newLock)).status).toBe(204);
  expect((await send("DELETE", newLock)).status).toBe(412);
  expect((await send("GET", feedback)).status).toBe(204);
  agent.destroy();
});
