import { connect } from "node:net";
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { listenTls } from "@hubwire/transport";
import { Collector } from "./collector.ts";
import { certificates, cleanUp, connectTo, startServer } from "./tls-world.ts";

/** The first bytes of a ClientHello: record type handshake, 512 bytes to come. */
const helloStart = Uint8Array.of(22, 3, 1, 2, 0, 1);

const unfinished: { name: string; behave: (socket: Socket) => void }[] = [
  { name: "sends nothing", behave: () => undefined },
  { name: "stops in the middle of its hello", behave: (socket) => socket.write(helloStart) },
  {
    name: "sends one byte at a time",
    behave: (socket) => {
      socket.write(helloStart);
      const drip = setInterval(() => socket.write(Uint8Array.of(0)), 5);
      socket.on("close", () => clearInterval(drip));
    },
  },
];

test.each(unfinished)(
  "a client that $name is cut off when handshakeTimeoutMs has passed",
  async ({ behave }) => {
    const server = await startServer({ handshakeTimeoutMs: 100 });
    const socket = rawConnection(server.port);
    behave(socket);
    await closed(socket);
    expect(await server.nextRefusal()).toMatchObject({
      reason: "handshake_timeout",
      address: addressOf(socket),
    });
    expect(server.accepted).toEqual([]);
  },
);

test("fifty handshakes that never end are all cut off, and each is told once", async () => {
  const server = await startServer({ handshakeTimeoutMs: 100 });
  const sockets = Array.from({ length: 50 }, () => rawConnection(server.port));
  await Promise.all(sockets.map(closed));
  for (let count = 0; count < sockets.length; count++) await server.nextRefusal();
  expect(new Set(server.refused.map((refused) => refused.address)).size).toBe(50);
  await connectTo(server.port);
});

test("a client that speaks something else is cut off at once", async () => {
  const server = await startServer();
  const socket = rawConnection(server.port);
  socket.write("GET / HTTP/1.1\r\n\r\n");
  await closed(socket);
  const refused = await server.nextRefusal();
  expect(refused).toMatchObject({ reason: "handshake_failed", address: addressOf(socket) });
  expect(refused.error).toBeInstanceOf(Error);
});

test("a client that hangs up during its handshake leaves nothing behind", async () => {
  const server = await startServer({ connectionsMax: 1 });
  for (let round = 0; round < 5; round++) {
    const socket = rawConnection(server.port);
    await new Promise((resolve) => socket.write(helloStart, resolve));
    socket.resetAndDestroy();
    expect((await server.nextRefusal()).reason).toBe("handshake_failed");
  }
  await connectTo(server.port);
});

test("connections above connectionsMax are closed at once, handshaking ones count", async () => {
  const server = await startServer({ connectionsMax: 2 });
  const idle = rawConnection(server.port);
  await new Promise((resolve) => idle.once("connect", resolve));
  const client = new Collector(await connectTo(server.port));
  const accepted = await server.nextStream();
  const third = rawConnection(server.port);
  await closed(third);
  expect(await server.nextRefusal()).toEqual({
    reason: "too_many_connections",
    address: addressOf(third),
    error: undefined,
  });
  client.stream.end();
  await accepted.end();
  await connectTo(server.port);
});

test("close stops listening, cuts handshakes, and leaves streams alone", async () => {
  const server = await startServer();
  const client = new Collector(await connectTo(server.port));
  const accepted = await server.nextStream();
  const handshaking = rawConnection(server.port);
  await new Promise((resolve) => handshaking.write(helloStart, resolve));
  await server.listener.close();
  await closed(handshaking);
  await expect(connectTo(server.port)).rejects.toMatchObject({ code: "transport.refused" });
  client.stream.write(Buffer.from("alive"));
  await accepted.until(() => accepted.text === "alive");
  const again = await startServer({ port: server.port });
  expect(again.port).toBe(server.port);
});

const { server: identity } = certificates;
const options = { key: identity.key, cert: identity.cert, onStream: () => undefined };

test("a port in use: hub.port_in_use, with the port in the message", async () => {
  const server = await startServer();
  const second = listenTls({ host: "127.0.0.1", port: server.port, ...options });
  await expect(second).rejects.toMatchObject({ code: "hub.port_in_use" });
  await expect(second).rejects.toThrow(`127.0.0.1:${server.port}`);
});

test("an address that is not this machine's: hub.address_unavailable", async () => {
  // 192.0.2.0/24 is kept for documentation (RFC 5737).
  const listening = listenTls({ host: "192.0.2.1", port: 0, ...options });
  await expect(listening).rejects.toMatchObject({ code: "hub.address_unavailable" });
});

test("server credentials that cannot be used are told, at the start and at renewal", async () => {
  const wrong = { key: certificates.root.key, cert: identity.cert };
  await expect(
    listenTls({ host: "127.0.0.1", port: 0, ...options, ...wrong }),
  ).rejects.toMatchObject({
    code: "transport.tls_credentials",
  });
  const server = await startServer();
  const renew = (): void => server.listener.updateSecureContext(wrong);
  expect(renew).toThrow(expect.objectContaining({ code: "transport.tls_credentials" }));
  await connectTo(server.port);
});

function rawConnection(port: number): Socket {
  const socket = cleanUp(connect({ host: "127.0.0.1", port }));
  socket.on("error", () => undefined);
  socket.once("connect", () => addresses.set(socket, `127.0.0.1:${socket.localPort}`));
  socket.resume();
  return socket;
}

const addresses = new WeakMap<Socket, string>();
function addressOf(socket: Socket): string | undefined {
  return addresses.get(socket);
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}
