import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { matchRoute } from "@hubwire/protocol";
import { createServiceClient, type FetchInit, type FetchLike } from "@hubwire/service";
import { expect, test } from "vitest";

const connectionString = "HostName=h.example;SharedAccessKeyName=owner;SharedAccessKey=QUJD";

type Answer = { status?: number; headers?: Record<string, string>; body?: unknown };

/** A `fetch` that answers from a list and keeps what it was asked. */
function scripted(...answers: Answer[]) {
  const asked: { url: URL; init: FetchInit }[] = [];
  const fetch: FetchLike = async (url, init) => {
    asked.push({ url: new URL(url), init });
    const { status = 200, headers = {}, body } = answers.shift() ?? {};
    return {
      status,
      headers: { get: (name) => headers[name.toLowerCase()] ?? null },
      text: async () => (body === undefined ? "" : JSON.stringify(body)),
    };
  };
  return { asked, client: createServiceClient({ connectionString, fetch }) };
}

test("every call is a route of the table, under its method", async () => {
  const many = Array.from({ length: 40 }, () => ({ body: {} }));
  const { asked, client } = scripted(...many);
  const { identities, modules, twins, methods, statistics, c2d, feedback } = client;
  const module = { deviceId: "d", moduleId: "m" };
  const quiet = (work: Promise<unknown>): Promise<unknown> => work.catch(() => {});
  await Promise.all([
    identities.get("d"),
    quiet(identities.list()),
    identities.create({ deviceId: "d" }),
    identities.delete("d"),
    identities.bulk([{ id: "d", importMode: "create" }]),
    quiet(modules.list("d")),
    modules.get("d", "m"),
    modules.create(module),
    modules.delete("d", "m"),
    ...[module, "d"].flatMap((ref) => [
      twins.get(ref),
      twins.update(ref, {}),
      twins.replace(ref, {}),
      methods.invoke(ref, { name: "m" }),
    ]),
    quiet(client.query("SELECT * FROM devices").toArray()),
    statistics.devices(),
    statistics.service(),
    c2d.purge("d"),
    quiet(feedback.receive()),
  ]);
  for (const { url, init } of asked) {
    const match = matchRoute(init.method, url.pathname + url.search);
    expect([init.method, url.pathname, "route" in match]).toEqual([
      init.method,
      url.pathname,
      true,
    ]);
    expect(url.searchParams.get("api-version")).toBe("2021-04-12");
    expect(init.headers["authorization"]).toMatch(
      /^SharedAccessSignature sr=h\.example&.*&skn=owner$/u,
    );
  }
  expect(asked).toHaveLength(22);
});

test("etags are sent in quotes, the wildcard too, and ids are encoded", async () => {
  const { asked, client } = scripted({ body: {} }, {});
  await client.twins.update("a/b#c", {}, { ifMatch: "AAA=" });
  await client.identities.delete("d");
  expect(asked.map(({ init }) => init.headers["if-match"])).toEqual(['"AAA="', '"*"']);
  expect(asked[0]?.url.pathname).toBe("/twins/a%2Fb%23c");
});

test("a query asks for page after page, and an empty token ends it", async () => {
  const { asked, client } = scripted(
    { body: [{ n: 1 }, { n: 2 }], headers: { "x-ms-continuation": "t1", "x-ms-item-type": "Raw" } },
    { body: [{ n: 3 }], headers: { "x-ms-continuation": "" } },
  );
  const result = client.query<{ n: number }>("SELECT n FROM devices", { pageSize: 2 });
  expect(asked).toHaveLength(0);
  expect((await result.toArray()).map(({ n }) => n)).toEqual([1, 2, 3]);
  expect(asked.map(({ init }) => init.headers["x-ms-continuation"])).toEqual([undefined, "t1"]);
  expect(asked[0]?.init.headers["x-ms-max-item-count"]).toBe("2");
});

test("a bulk import goes in hundreds, and entries that fail are a result", async () => {
  const failed = { isSuccessful: false, errors: [{ deviceId: "d1" }], warnings: [] };
  const { asked, client } = scripted(
    { status: 400, body: failed },
    { body: { isSuccessful: true, errors: [], warnings: [] } },
  );
  const entries = Array.from({ length: 150 }, (_, n) => ({
    id: `d${n}`,
    importMode: "create" as const,
  }));
  expect(await client.identities.bulk(entries)).toEqual(failed);
  const sizes = asked.map(({ init }) => (JSON.parse(init.body ?? "") as unknown[]).length);
  expect(sizes).toEqual([100, 50]);
});

test("throttling is waited out as the hub says, within bounds", async () => {
  const busy = { status: 429, headers: { "retry-after": "0" } };
  const { asked, client } = scripted(busy, busy, { body: {} });
  await client.twins.update("d", {});
  expect(asked).toHaveLength(3);
  const often = scripted(busy, busy, busy, busy, busy);
  await expect(often.client.twins.get("d")).rejects.toMatchObject({ code: "quota.throttled" });
  expect(often.asked).toHaveLength(4);
  // Longer than the call has: told at once.
  const long = scripted({ status: 429, headers: { "retry-after": "3600" } });
  await expect(long.client.twins.get("d")).rejects.toMatchObject({ code: "quota.throttled" });
  expect(long.asked).toHaveLength(1);
});

test("what may have been half done is not sent again", async () => {
  const { asked, client } = scripted({ status: 503, headers: { "retry-after": "0" } });
  await expect(client.identities.create({ deviceId: "d" })).rejects.toMatchObject({
    code: "service.unavailable",
  });
  expect(asked).toHaveLength(1);
});

test("a fetch that never answers and does not look at its signal still ends in time", async () => {
  const client = createServiceClient({ connectionString, fetch: () => new Promise(() => {}) });
  const late = client.twins.get("d", { timeoutMs: 20 });
  await expect(late).rejects.toMatchObject({ code: "call.timeout", retryable: true });
});

test.each(["", ".", "..", "\ud800"])("the id %j goes nowhere", async (id) => {
  const { asked, client } = scripted();
  await expect(client.identities.get(id)).rejects.toMatchObject({ code: "identity.bad_id" });
  expect(asked).toHaveLength(0);
});

test("an answer of another kind is said to be none of an IoT Hub's", async () => {
  const { client } = scripted({ body: [] }, { body: "hello" });
  await expect(client.twins.get("d")).rejects.toMatchObject({ code: "service.bad_answer" });
  await expect(client.identities.list()).rejects.toMatchObject({ code: "service.bad_answer" });
});

test("feedback over HTTP is settled by its lock token", async () => {
  const { asked, client } = scripted(
    { status: 204 },
    { body: [{ originalMessageId: "m" }], headers: { etag: '"lock-1"' } },
    { status: 204 },
    { status: 412, headers: { "iothub-errorcode": "DeviceMessageLockLost" } },
  );
  expect(await client.feedback.receive()).toBeUndefined();
  const batch = await client.feedback.receive();
  await batch?.complete();
  await expect(batch?.abandon()).rejects.toMatchObject({ code: "service.lock_lost" });
  expect(asked.slice(2).map(({ url, init }) => `${init.method} ${url.pathname}`)).toEqual([
    "DELETE /messages/serviceBound/feedback/lock-1",
    "POST /messages/serviceBound/feedback/lock-1/abandon",
  ]);
});

test("the main entry needs neither Node nor an AMQP library", () => {
  const root = join(import.meta.dirname, "..", "src");
  const files = ["", "rest"].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(root, folder, name)),
  );
  expect(files.length).toBeGreaterThan(10);
  for (const file of files) {
    const text = readFileSync(file, "utf8");
    const imports = [...text.matchAll(/(?:from|import\()\s*"([^"]+)"/gu)].map(([, name]) => name);
    const foreign = imports.filter(
      (name) => !/^\.{1,2}\/(?!node|amqp)|^@hubwire\/protocol$/u.test(name ?? ""),
    );
    expect([file, foreign]).toEqual([file, []]);
    expect([file, /\b(?:Buffer|process)\.\w/u.test(text)]).toEqual([file, false]);
  }
});
