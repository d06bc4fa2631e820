import { seededRandom, SimulatedNetwork } from "@hubwire/testkit";
import type { Cable, LaneOptions } from "@hubwire/testkit";
import { VirtualClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import { Collector } from "./collector.ts";

const runs = Number(process.env["HUBWIRE_LONG"] === "1" ? 2_000 : 50);

function world(lanes: LaneOptions = {}, seed = 1) {
  const clock = new VirtualClock();
  const network = new SimulatedNetwork({ clock, random: seededRandom(seed), lanes });
  const accepted: Collector[] = [];
  const listener = network.listen("hub", (stream) => accepted.push(new Collector(stream)));
  return { clock, network, accepted, listener };
}

async function connected(lanes: LaneOptions = {}, seed = 1) {
  const { clock, network, accepted, listener } = world(lanes, seed);
  let stream: Collector | undefined;
  void network.connect("hub").then((opened) => (stream = new Collector(opened)));
  await clock.runUntil(() => stream !== undefined && accepted.length === 1);
  if (stream === undefined || accepted[0] === undefined) throw new Error("unreachable");
  const cable = network.cables[0] as Cable;
  return { clock, network, listener, cable, client: stream, server: accepted[0] };
}

test("a connection takes two round trips, a byte takes one way", async () => {
  const { clock, client, server } = await connected({ latencyMs: 20 });
  expect(clock.nowMs()).toBe(80);
  client.stream.write(Buffer.from("hello"));
  await clock.advance(19);
  expect(server.text).toBe("");
  await clock.advance(1);
  expect(server.text).toBe("hello");
});

test("each side knows about the other what it was told", async () => {
  const { clock, network, accepted } = world();
  const certificate = undefined;
  void network.connect("hub", { client: { address: "10.9.9.9:1", certificate } });
  await clock.advance(1_000);
  expect(accepted[0]?.stream.peer).toMatchObject({ address: "10.9.9.9:1", serverName: "hub" });
  expect(network.cables[0]?.client.peer).toMatchObject({ address: "hub:8883", serverName: "hub" });
});

test("bandwidth is a limit: a megabyte at 100 kB/s takes ten seconds", async () => {
  const { clock, client, server } = await connected({
    latencyMs: 0,
    bytesPerSecond: 100_000,
    windowBytes: 65_536,
  });
  const startMs = clock.nowMs();
  for (let count = 0; count < 10; count++) client.stream.write(new Uint8Array(100_000));
  expect(client.stream.bufferedBytes).toBe(1_000_000 - 65_536);
  await clock.runUntil(() => server.chunks.length === 10);
  expect(clock.nowMs() - startMs).toBeCloseTo(10_000, 6);
});

test("whatever the jitter and the pieces, each direction keeps its order", async () => {
  for (let seed = 1; seed <= runs; seed++) {
    const random = seededRandom(seed);
    const { clock, client, server } = await connected(
      { latencyMs: random.int(50), jitterMs: random.int(200), pieceBytesMax: 1 + random.int(20) },
      seed,
    );
    const sent = { up: "", down: "" };
    for (let count = 0; count < 30; count++) {
      const [up, down] = [`<up ${count}>`, `<down ${count}>`];
      sent.up += up;
      sent.down += down;
      client.stream.write(Buffer.from(up));
      server.stream.write(Buffer.from(down));
      if (random.chance(0.5)) await clock.advance(random.int(30));
    }
    await clock.advance(1_000);
    expect({ seed, up: server.text, down: client.text }).toEqual({ seed, ...sent });
    expect(server.chunks.length).toBeGreaterThan(30);
  }
});

test("the same seed gives the same run, another seed another", async () => {
  const runOnce = async (seed: number): Promise<string> => {
    const { clock, client, server } = await connected({ jitterMs: 50, pieceBytesMax: 5 }, seed);
    const log: string[] = [];
    server.onBytes = (bytes) => log.push(`${clock.nowMs()}:${bytes.length}`);
    for (let count = 0; count < 10; count++) client.stream.write(new Uint8Array(20));
    await clock.advance(1_000);
    return log.join(" ");
  };
  expect(await runOnce(7)).toBe(await runOnce(7));
  expect(await runOnce(7)).not.toBe(await runOnce(8));
});

test("a name never listened to does not resolve, a closed one refuses, a silent one times out", async () => {
  const { clock, network, listener } = world();
  const outcome = async (name: string): Promise<unknown> => {
    const attempt = network.connect(name, { timeoutMs: 500 }).catch((error: unknown) => error);
    await clock.advance(1_000);
    return attempt;
  };
  expect(await outcome("nowhere")).toMatchObject({ code: "transport.dns" });
  network.stand("hub", "down");
  expect(await outcome("hub")).toMatchObject({ code: "transport.refused" });
  network.stand("hub", "silent");
  expect(await outcome("hub")).toMatchObject({ code: "transport.timeout" });
  network.stand("hub", "up");
  listener.close();
  expect(await outcome("hub")).toMatchObject({ code: "transport.refused" });
  network.listen("hub", () => undefined);
  expect(await outcome("hub")).toHaveProperty("write");
  expect(clock.nextMs).toBe(Infinity);
});

test("an attempt can be aborted at every moment, and the server hears of it", async () => {
  for (let afterMs = 0; afterMs <= 20; afterMs++) {
    const { clock, network, accepted } = world({ latencyMs: 5 });
    const controller = new AbortController();
    const dialed = network
      .dial("hub")(controller.signal)
      .catch((error: unknown) => error);
    await clock.advance(afterMs);
    controller.abort();
    const outcome = await dialed;
    if (afterMs < 20) expect(outcome).toMatchObject({ code: "call.aborted" });
    else expect(outcome).toHaveProperty("write");
    await clock.advance(1_000);
    if (afterMs < 20)
      expect([accepted.every(({ closed }) => closed.length === 1), network.cables]).toEqual([
        true,
        [],
      ]);
  }
});

test("end brings everything over, then closes both sides without error", async () => {
  const { clock, network, client, server } = await connected({ latencyMs: 10 });
  client.stream.write(Buffer.from("last words"));
  client.stream.end();
  client.stream.write(Buffer.from("ignored"));
  await clock.advance(1_000);
  expect([server.text, server.closed, client.closed]).toEqual([
    "last words",
    [undefined],
    [undefined],
  ]);
  expect([network.cables, clock.nextMs]).toEqual([[], Infinity]);
});

test("an end that its reader never sees is over after five seconds", async () => {
  const { clock, client, server } = await connected();
  server.stream.pause();
  client.stream.end();
  await clock.advance(10_000);
  expect([client.closed.length, server.closed.length]).toEqual([1, 1]);
});

test("destroy resets the other side", async () => {
  const { clock, network, client, server } = await connected();
  server.stream.destroy();
  await clock.advance(100);
  expect(client.closed).toMatchObject([{ code: "transport.reset" }]);
  expect([server.closed, network.cables]).toEqual([[undefined], []]);
});

const cuts = [
  { noticedBy: "both", client: "reset", server: "reset" },
  { noticedBy: "the client only", client: "reset", server: "silent" },
  { noticedBy: "the server only", client: "silent", server: "reset" },
  { noticedBy: "nobody", client: "silent", server: "silent" },
] as const;

test.each(cuts)("a cut noticed by $noticedBy", async (how) => {
  const { clock, network, cable, client, server } = await connected();
  cable.cut({ client: how.client, server: how.server });
  client.stream.write(Buffer.from("into the void"));
  server.stream.write(Buffer.from("into the void"));
  await clock.advance(100_000);
  const reset = [{ code: "transport.reset" }];
  expect(client.closed).toMatchObject(how.client === "reset" ? reset : []);
  expect(server.closed).toMatchObject(how.server === "reset" ? reset : []);
  expect([client.text, server.text]).toEqual(["", ""]);
  client.stream.destroy();
  server.stream.destroy();
  await clock.advance(100);
  expect([client.closed.length, server.closed.length, network.cables]).toEqual([1, 1, []]);
});

test("what is written into a half-open connection piles up as not taken", async () => {
  const { clock, cable, client } = await connected({ windowBytes: 1_000 });
  cable.cut({ client: "silent", server: "silent" });
  for (let count = 0; count < 100; count++) client.stream.write(new Uint8Array(1_000));
  await clock.advance(60_000);
  expect(client.stream.bufferedBytes).toBe(99_000);
  expect([client.stream.write(new Uint8Array(1)), client.drains]).toEqual([false, 0]);
});

test("of the bytes under way a cut lets through a part, all or none, always from the front", async () => {
  const texts = ["a", "b", "c", "d", "e"];
  const seen = new Set<string>();
  for (let seed = 1; seed <= runs; seed++) {
    for (const inFlight of ["some", "delivered", "lost"] as const) {
      const { clock, cable, client, server } = await connected({}, seed);
      for (const text of texts) client.stream.write(Buffer.from(text));
      cable.cut({ inFlight });
      await clock.advance(1_000);
      if (inFlight === "some") seen.add(server.text);
      else expect(server.text).toBe(inFlight === "lost" ? "" : "abcde");
    }
  }
  for (const text of seen) expect("abcde".startsWith(text)).toBe(true);
  expect(seen.size).toBe(6);
});

test("stalled bytes wait, in either direction, and come in order when released", async () => {
  const { clock, cable, client, server } = await connected();
  cable.stall("toServer");
  client.stream.write(Buffer.from("1"));
  server.stream.write(Buffer.from("free"));
  await clock.advance(60_000);
  client.stream.write(Buffer.from("2"));
  expect([server.text, client.text]).toEqual(["", "free"]);
  cable.release();
  await clock.advance(1_000);
  expect(server.text).toBe("12");
});

test("a reader that pauses is not delivered to, and its writer is told to stop and to go on", async () => {
  const { clock, client, server } = await connected({ windowBytes: 1_000 });
  server.stream.pause();
  expect(client.stream.write(new Uint8Array(66_536))).toBe(true);
  expect(client.stream.write(new Uint8Array(1))).toBe(false);
  await clock.advance(60_000);
  expect([server.chunks, client.drains]).toEqual([[], 0]);
  server.stream.resume();
  await clock.advance(1_000);
  expect([server.chunks.length, client.drains, client.stream.bufferedBytes]).toEqual([2, 1, 0]);
});
