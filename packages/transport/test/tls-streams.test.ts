import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { tlsConnector } from "@hubwire/transport";
import { expect, test } from "vitest";
import { Collector } from "./collector.ts";
import { certificates, cleanUp, connectTo, noSignal, startServer } from "./tls-world.ts";

test("bytes go both ways, and each side knows what TLS knows about the other", async () => {
  const server = await startServer();
  const client = new Collector(await connectTo(server.port, { servername: "localhost" }));
  const accepted = await server.nextStream();
  client.stream.write(Buffer.from("hello"));
  await accepted.until(() => accepted.text === "hello");
  accepted.stream.write(Buffer.from("welcome"));
  await client.until(() => client.text === "welcome");
  expect(client.stream.peer).toEqual({
    address: `127.0.0.1:${server.port}`,
    certificate: undefined,
    tlsVersion: "TLSv1.3",
    serverName: "localhost",
  });
  expect(accepted.stream.peer).toMatchObject({
    certificate: undefined,
    tlsVersion: "TLSv1.3",
    serverName: "localhost",
  });
  expect(accepted.stream.peer.address).toMatch(/^127\.0\.0\.1:\d+$/);
});

test("TLS 1.2 is spoken with who speaks nothing newer", async () => {
  const server = await startServer();
  const client = await connectTo(server.port, { maxVersion: "TLSv1.2" });
  expect(client.peer.tlsVersion).toBe("TLSv1.2");
  expect((await server.nextStream()).stream.peer.tlsVersion).toBe("TLSv1.2");
});

test("end delivers everything that was written, then both sides close without error", async () => {
  const server = await startServer();
  const client = new Collector(await connectTo(server.port));
  const accepted = await server.nextStream();
  const block = new Uint8Array(100_000).fill(7);
  for (let count = 0; count < 10; count++) client.stream.write(block);
  client.stream.end();
  client.stream.write(Buffer.from("ignored"));
  expect(await accepted.end()).toBeUndefined();
  expect(accepted.receivedBytes).toBe(1_000_000);
  expect(await client.end()).toBeUndefined();
});

test("the last words reach a peer that is still sending", async () => {
  // Closing with unread input makes the kernel reset the connection, and the refusal would be lost on its way.
  const server = await startServer({ endTimeoutMs: 1_000_000 });
  for (let round = 0; round < 20; round++) {
    const client = new Collector(await connectTo(server.port));
    const accepted = await server.nextStream();
    accepted.stream.pause();
    for (let count = 0; count < 10; count++) client.stream.write(new Uint8Array(10_000));
    accepted.stream.write(Buffer.from("refused"));
    accepted.stream.end();
    await client.end();
    expect(client.text).toBe("refused");
    await accepted.end();
  }
});

test("destroy is seen by the peer, and told once on this side", async () => {
  const server = await startServer();
  const client = new Collector(await connectTo(server.port));
  const accepted = await server.nextStream();
  client.stream.destroy();
  client.stream.destroy();
  client.stream.end();
  expect(await client.end()).toBeUndefined();
  await accepted.end();
  expect([client.closed.length, accepted.closed.length]).toEqual([1, 1]);
});

test("a stream that died before it was started tells so when it is", async () => {
  const server = await startServer();
  const client = await connectTo(server.port);
  const accepted = await server.nextStream();
  client.destroy();
  await accepted.end();
  const late = new Collector(client);
  expect(await late.end()).toBeUndefined();
  expect(late.closed).toHaveLength(1);
});

test("nothing arrives before start, nor while paused", async () => {
  const server = await startServer();
  const client = await connectTo(server.port);
  const accepted = await server.nextStream();
  accepted.stream.write(Buffer.from("early"));
  const reader = new Collector(client);
  client.pause();
  accepted.stream.write(Buffer.from(" bird"));
  client.write(Buffer.from("ping"));
  await accepted.until(() => accepted.text === "ping");
  expect(reader.text).toBe("");
  client.resume();
  await reader.until(() => reader.text === "early bird");
});

test("a writer faster than its reader is told to stop, and its buffer stays bounded", async () => {
  const server = await startServer();
  const client = new Collector(await connectTo(server.port));
  const accepted = await server.nextStream();
  accepted.stream.pause();
  const block = new Uint8Array(16_384);
  let written = 0;
  let peakBytes = 0;
  const fill = (): void => {
    do {
      written += block.length;
      peakBytes = Math.max(peakBytes, client.stream.bufferedBytes);
    } while (client.stream.write(block));
  };
  fill();
  // The kernel takes some megabytes before the first stop that lasts.
  for (let drains = client.drains; ; drains = client.drains) {
    const moved = await Promise.race([
      client.until(() => client.drains > drains).then(() => true),
      idle(),
    ]);
    if (!moved) break;
    fill();
  }
  expect(client.stream.bufferedBytes).toBeGreaterThan(0);
  expect(peakBytes).toBeLessThan(262_144);
  accepted.stream.resume();
  await accepted.until(() => accepted.receivedBytes === written);
  await client.until(() => client.stream.bufferedBytes === 0);
});

test("many connections at a time, each with its own bytes", async () => {
  const server = await startServer();
  const count = 100;
  const clients = await Promise.all(
    Array.from({ length: count }, async () => new Collector(await connectTo(server.port))),
  );
  while (server.accepted.length < count) await server.nextStream();
  for (const accepted of server.accepted)
    accepted.stream.write(Buffer.from(accepted.stream.peer.address));
  await Promise.all(clients.map((client) => client.until(() => client.text !== "")));
  expect(new Set(clients.map((client) => client.text)).size).toBe(count);
  for (const client of clients) client.stream.end();
  await Promise.all(server.accepted.map((accepted) => accepted.end()));
});

test("a new certificate serves new connections and leaves the old ones alone", async () => {
  const server = await startServer();
  const before = new Collector(await connectTo(server.port));
  const accepted = await server.nextStream();
  const renewed = await certificates.issue({ cn: "renewed", san: ["renewed.localhost"] });
  server.listener.updateSecureContext({ key: renewed.key, cert: renewed.cert });
  await connectTo(server.port, { servername: "renewed.localhost" });
  await expect(connectTo(server.port)).rejects.toMatchObject({
    code: "transport.tls_name_mismatch",
  });
  before.stream.write(Buffer.from("still here"));
  await accepted.until(() => accepted.text === "still here");
});

test("a second stream of one connector resumes the TLS session, unless it shows a client certificate", async () => {
  const { server, root } = certificates;
  const sockets: TLSSocket[] = [];
  const listener = createServer({
    key: server.key,
    cert: server.cert,
    requestCert: true,
    rejectUnauthorized: false,
  });
  listener.on("secureConnection", (socket) =>
    sockets.push(cleanUp(socket.on("error", () => undefined))),
  );
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  const device = await certificates.issue({ cn: "device" });
  for (const identity of [{}, { cert: device.cert, key: device.key }]) {
    const dial = tlsConnector({ host: "127.0.0.1", port, ca: root.cert, ...identity });
    for (let round = 0; round < 2; round++) {
      const client = new Collector(cleanUp(await dial(noSignal)));
      while (sockets.length <= round)
        await new Promise((resolve) => listener.once("secureConnection", resolve));
      // The ticket comes with the first bytes; Node tells of it a moment later.
      for (const text of ["x", "xy"]) {
        sockets[round]?.write(text.slice(-1));
        await client.until(() => client.text === text);
      }
    }
    const resumed = sockets.splice(0).map((socket) => socket.isSessionReused());
    expect(resumed).toEqual([false, !("cert" in identity)]);
  }
  listener.close();
});

/** False when the event loop had nothing to do for a while. */
async function idle(): Promise<false> {
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  return false;
}
