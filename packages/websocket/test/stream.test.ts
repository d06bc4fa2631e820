import { once } from "node:events";
import { expect, test } from "vitest";
import type { RawData, WebSocket } from "ws";
import { certificates, connectTo, startServer } from "./world.ts";

test("asks for IoT Hub's path and subprotocol, names the host, and the server's time is told", async () => {
  const server = await startServer();
  const times: number[] = [];
  const client = await connectTo(server.port, { onServerTime: (unixMs) => times.push(unixMs) });
  const { request, connection } = await server.next();
  expect(request.url).toBe("/$iothub/websocket");
  expect(request.headers["sec-websocket-protocol"]).toBe("mqtt");
  expect(request.headers.host).toBe(`localhost:${server.port}`);
  expect(request.headers["sec-websocket-extensions"]).toBeUndefined();
  expect(connection.protocol).toBe("mqtt");
  expect(client.stream.peer).toMatchObject({
    address: `127.0.0.1:${server.port}`,
    serverName: "localhost",
    tlsVersion: "TLSv1.3",
  });
  // ws sends no Date; a real front end does.
  expect(times).toEqual([]);
});

test("path and query are the user's choice", async () => {
  const server = await startServer();
  const path = "/$iothub/websocket?iothub-no-client-cert=true";
  await connectTo(server.port, { webSocket: { path } });
  expect((await server.next()).request.url).toBe(path);
});

test("a client certificate reaches the server", async () => {
  const server = await startServer();
  const { cert, key } = await certificates.issue({ cn: "dev1" });
  await connectTo(server.port, { target: { identity: { cert, key } } });
  const { socket } = await server.next();
  expect(socket.getPeerCertificate().subject.CN).toBe("dev1");
});

test("bytes go both ways in binary frames, whatever the frames' boundaries", async () => {
  const server = await startServer();
  const client = (await connectTo(server.port)).start();
  const { connection } = await server.next();
  const heard: Buffer[] = [];
  connection.on("message", (data: RawData, isBinary: boolean) => {
    expect(isBinary).toBe(true);
    heard.push(data as Buffer);
  });
  const sent = Uint8Array.of(0xc0, 0);
  client.stream.write(sent);
  client.stream.write(Buffer.from("and more"));
  await expect.poll(() => Buffer.concat(heard).toString("latin1")).toBe("\u00c0\0and more");
  // Masking must not scribble over what the session may still hold for sending again.
  expect([...sent]).toEqual([0xc0, 0]);
  connection.send(Buffer.from("a"));
  connection.send(Buffer.alloc(0));
  // One message in two fragments, as a gateway may cut it.
  connection.send(Buffer.from("b"), { fin: false });
  connection.send(Buffer.from("c"), { fin: true });
  await client.until(() => client.bytes.length === 3);
  expect(client.bytes.toString()).toBe("abc");
  expect(client.chunks.every(({ length }) => length > 0)).toBe(true);
});

test("nothing is delivered before start, and what came is not lost", async () => {
  const server = await startServer();
  const client = await connectTo(server.port);
  const { connection } = await server.next();
  connection.send(Buffer.from("early"));
  await turns(20);
  expect(client.chunks).toEqual([]);
  client.start();
  await client.until(() => client.bytes.toString() === "early");
});

test("pause holds what one read had brought; resume hands it on in order", async () => {
  const server = await startServer();
  const client = await connectTo(server.port);
  const { connection } = await server.next();
  const { stream } = client;
  const onBytes = client.onBytes.bind(client);
  client.onBytes = (bytes) => {
    onBytes(bytes);
    stream.pause();
  };
  client.start();
  for (let n = 0; n < 50; n++) connection.send(Buffer.from(`${n};`));
  for (let n = 0; n < 50; n++) {
    await client.until(() => client.chunks.length === n + 1);
    await turns(2);
    expect(client.chunks.length).toBe(n + 1);
    stream.resume();
  }
  expect(client.bytes.toString()).toBe(Array.from({ length: 50 }, (_, n) => `${n};`).join(""));
});

test("a writer faster than its reader is told to stop, counts what waits, and is told to go on", async () => {
  const server = await startServer();
  const client = (await connectTo(server.port)).start();
  const { connection } = await server.next();
  connection.pause();
  const block = Buffer.alloc(65_536, 1);
  let writtenBytes = 0;
  // Until the kernel's buffers are full as well.
  while (client.stream.bufferedBytes === 0) {
    expect(client.stream.write(block)).toBe(false);
    writtenBytes += block.length;
    await turns(10);
  }
  const { drains } = client;
  let readBytes = 0;
  connection.on("message", (data: RawData) => (readBytes += (data as Buffer).length));
  connection.resume();
  await client.until(() => client.drains > drains);
  await expect.poll(() => readBytes).toBe(writtenBytes);
  expect(client.stream.bufferedBytes).toBe(0);
});

test("end sends what is buffered, then the close frame; the peer sees an ordinary close", async () => {
  const server = await startServer();
  const client = (await connectTo(server.port)).start();
  const { connection } = await server.next();
  let readBytes = 0;
  connection.on("message", (data: RawData) => (readBytes += (data as Buffer).length));
  const closed = once(connection, "close");
  const block = Buffer.alloc(500_000, 1);
  client.stream.write(block);
  client.stream.end();
  expect(client.stream.write(block)).toBe(true);
  expect(await closed).toEqual([1000, Buffer.alloc(0)]);
  expect(readBytes).toBe(block.length);
  expect(await client.end()).toBeUndefined();
});

test("end while paused still gets the peer's close", async () => {
  const server = await startServer();
  const client = (await connectTo(server.port)).start();
  await server.next();
  client.stream.pause();
  client.stream.end();
  expect(await client.end()).toBeUndefined();
});

test("destroy cuts at once, and closes exactly once", async () => {
  const server = await startServer();
  const client = (await connectTo(server.port)).start();
  const { connection } = await server.next();
  const closed = once(connection, "close");
  client.stream.destroy();
  client.stream.destroy();
  expect(await closed).toEqual([1006, Buffer.alloc(0)]);
  expect(await client.end()).toBeUndefined();
  await turns(5);
  expect(client.closed.length).toBe(1);
});

const closes: {
  name: string;
  close: (connection: WebSocket) => void;
  code?: string;
  says?: RegExp;
}[] = [
  { name: "normally", close: (connection) => connection.close(1000) },
  { name: "because it goes away", close: (connection) => connection.close(1001, "restart") },
  { name: "without a code", close: (connection) => connection.close() },
  {
    name: "with a reason",
    close: (connection) => connection.close(1008, "policy \u0007 says no"),
    code: "transport.websocket_closed",
    says: /^127\.0\.0\.1:\d+ closed the WebSocket: 1008 policy says no$/,
  },
  { name: "by cutting", close: (connection) => connection.terminate() },
];
test.each(closes)("a server that closes $name", async ({ close, code, says }) => {
  const server = await startServer();
  const client = (await connectTo(server.port)).start();
  const { connection } = await server.next();
  close(connection);
  const error = await client.end();
  if (code === undefined) return expect(error).toBeUndefined();
  expect(error).toMatchObject({ code, retryable: true });
  expect(error?.message).toMatch(says as RegExp);
});

test("a stream that died before start tells so after it, not from inside", async () => {
  const server = await startServer();
  const client = await connectTo(server.port);
  const { connection } = await server.next();
  client.stream.destroy();
  await once(connection, "close");
  await turns(5);
  client.start();
  expect(client.closed).toEqual([]);
  expect(await client.end()).toBeUndefined();
});

test("pings are answered, and nobody above hears of them", async () => {
  const server = await startServer();
  const client = (await connectTo(server.port)).start();
  const { connection } = await server.next();
  const pong = once(connection, "pong");
  connection.ping("are you there");
  const [payload] = (await pong) as [Buffer];
  expect(payload.toString()).toBe("are you there");
  expect(client.chunks).toEqual([]);
});

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
}
