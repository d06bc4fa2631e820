import { CuttingProxy } from "@hubwire/testkit";
import { listenTcp, tcpConnector } from "@hubwire/transport";
import type { ByteStream, Listener } from "@hubwire/transport";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Collector } from "./collector.ts";

let proxy: CuttingProxy;
let listener: Listener;
let accepted: Collector[];
const clients: Collector[] = [];

beforeEach(async () => {
  accepted = [];
  listener = await listenTcp({
    host: "127.0.0.1",
    port: 0,
    onStream: (stream) => accepted.push(new Collector(stream)),
  });
  proxy = await CuttingProxy.start({ targetPort: listener.port });
});

afterEach(async () => {
  for (const { stream } of [...clients.splice(0), ...accepted]) stream.destroy();
  await proxy.close();
  await listener.close();
});

async function connected(): Promise<{ client: Collector; server: Collector }> {
  const count = accepted.length;
  const dial = tcpConnector({ host: proxy.host, port: proxy.port });
  const client = new Collector(await dial(new AbortController().signal));
  clients.push(client);
  await until(() => accepted.length > count);
  return { client, server: accepted[count] as Collector };
}

test("in good weather bytes and ends pass through", async () => {
  const { client, server } = await connected();
  client.stream.write(Buffer.from("ping"));
  await until(() => server.text === "ping");
  server.stream.write(Buffer.from("pong"));
  server.stream.end();
  await until(() => client.closed.length === 1 && server.closed.length === 1);
  expect([client.text, client.closed[0], server.closed[0]]).toEqual(["pong", undefined, undefined]);
  await until(() => proxy.connections === 0);
});

test("a cut is a reset on both sides", async () => {
  const { client, server } = await connected();
  proxy.cut();
  await until(() => client.closed.length === 1 && server.closed.length === 1);
  const reset = { code: "transport.reset" };
  expect([client.closed[0], server.closed[0]]).toMatchObject([reset, reset]);
  await until(() => proxy.connections === 0);
});

const halves = [
  { noticedBy: "client", deaf: "server" },
  { noticedBy: "server", deaf: "client" },
] as const;

test.each(halves)(
  "a cut that only the $noticedBy notices leaves the $deaf half-open",
  async ({ noticedBy, deaf }) => {
    const ends = await connected();
    proxy.cut(noticedBy);
    await until(() => ends[noticedBy].closed.length === 1);
    ends[deaf].stream.write(Buffer.from("anybody there?"));
    // The next connection goes through the proxy both ways, so the old one had its chance.
    const next = await connected();
    next[deaf].stream.write(Buffer.from("x"));
    await until(() => next[noticedBy].text === "x");
    expect([ends[deaf].closed, ends[noticedBy].text]).toEqual([[], ""]);
  },
);

test("stalled bytes wait and arrive in order after heal, the other direction goes on", async () => {
  const { client, server } = await connected();
  proxy.stall("toServer");
  client.stream.write(Buffer.from("1"));
  server.stream.write(Buffer.from("free"));
  await until(() => client.text === "free");
  client.stream.write(Buffer.from("2"));
  expect(server.text).toBe("");
  proxy.heal();
  await until(() => server.text === "12");
});

test("dropped bytes are gone, later ones arrive", async () => {
  const { client, server } = await connected();
  proxy.drop("toServer");
  client.stream.write(Buffer.from("gone"));
  // A round trip on the same proxy: by then it has read what was sent before.
  const other = await connected();
  other.server.stream.write(Buffer.from("x"));
  await until(() => other.client.text === "x");
  await new Promise((resolve) => setImmediate(resolve));
  proxy.heal();
  client.stream.write(Buffer.from("there"));
  await until(() => server.text.endsWith("there"));
  expect(server.text).toBe("there");
});

test("a delay keeps the order, also when it becomes shorter", async () => {
  const { client, server } = await connected();
  proxy.delay(50);
  client.stream.write(Buffer.from("1"));
  await until(() => proxy.held === 1);
  proxy.heal();
  client.stream.write(Buffer.from("2"));
  await until(() => server.text.length === 2);
  expect(server.text).toBe("12");
});

test("refusing resets new connections and leaves open ones alone", async () => {
  const { client, server } = await connected();
  proxy.refuse();
  const dial = tcpConnector({ host: proxy.host, port: proxy.port });
  // The reset may come before or after the connection counts as made.
  const outcome = await dial(new AbortController().signal).catch((error: unknown) => error);
  if (outcome instanceof Error) expect(outcome).toMatchObject({ code: "transport.reset" });
  else {
    const refused = new Collector(outcome as ByteStream);
    await until(() => refused.closed.length === 1);
  }
  expect(accepted).toHaveLength(1);
  client.stream.write(Buffer.from("still here"));
  await until(() => server.text === "still here");
  proxy.heal();
  await connected();
});

test("closing the proxy closes everything that went through it", async () => {
  const { client, server } = await connected();
  await proxy.close();
  await until(() => client.closed.length === 1 && server.closed.length === 1);
  proxy = await CuttingProxy.start({ targetPort: listener.port });
});

/** The test's time-out is the failure. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}
