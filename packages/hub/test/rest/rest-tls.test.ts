import { once } from "node:events";
import { encodeUtf8 } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { createRestListener } from "../../src/listeners/rest/index.ts";
import { version } from "./rest-world.ts";
import { certificates, createTlsWorld, readToClose } from "./tls-world.ts";
import { device, writeOf } from "./world.ts";

const at = (path: string): string => `${path}?${version}`;

test("a device is created and read over TLS, on one connection", async () => {
  const { send, owner } = await createTlsWorld();
  const created = await send("PUT", at("/devices/d"), { deviceId: "d" });
  expect(created.status).toBe(200);
  expect(created.headers).toMatchObject({
    "content-type": "application/json; charset=utf-8",
    "content-length": String(Buffer.byteLength(created.body)),
    etag: expect.stringMatching(/^".+"$/) as unknown,
    connection: "keep-alive",
  });
  expect(created.headers["x-ms-request-id"]).toMatch(/./);
  const read = await send("GET", at("/devices/d"));
  expect(JSON.parse(read.body)).toEqual(JSON.parse(created.body));
  expect(owner).toMatch(/^SharedAccessSignature /);
  const deleted = await send("DELETE", at("/devices/d"), undefined, { "if-match": "*" });
  expect([deleted.status, deleted.body, deleted.headers["content-length"]]).toEqual([
    204,
    "",
    undefined,
  ]);
});

test("the peer's address decides about metrics", async () => {
  const { send } = await createTlsWorld();
  const metrics = await send("GET", "/metrics", undefined, { authorization: "" });
  expect(metrics.status).toBe(200);
  expect(metrics.body).toContain("hubwire_connections 0");
});

test("a method call waits for its device without holding anything up", async () => {
  const { send, identities, connections, methods } = await createTlsWorld();
  const { generationId } = await identities.create(writeOf(device("d")));
  const connection = connections.connect(device("d"), generationId, []);
  const asked = send("POST", at("/twins/d/methods"), {
    methodName: "m",
    connectTimeoutInSeconds: 300,
  });
  expect((await send("GET", at("/devices"))).status).toBe(200);
  while (methods.inFlight === 0) await new Promise(setImmediate);
  connections.subscribe(connection, "methods");
  methods.respond(connection, "1", 202, encodeUtf8('"ok"'));
  expect((await asked).body).toBe('{"status":202,"payload":"ok"}');
});

test("a client that goes away ends its method call", async () => {
  const { begin, identities, methods, listener } = await createTlsWorld();
  await identities.create(writeOf(device("d")));
  const outgoing = begin("POST", at("/twins/d/methods"), { "content-type": "application/json" });
  outgoing.end('{"methodName":"m","connectTimeoutInSeconds":300}');
  while (methods.inFlight === 0) await new Promise(setImmediate);
  outgoing.destroy();
  while (methods.inFlight > 0 || listener.inFlight > 0) await new Promise(setImmediate);
});

test("a body announced too large is refused before it is sent", async () => {
  const { raw, owner } = await createTlsWorld({ lingerMs: 20 });
  const socket = await raw();
  socket.write(
    `PUT ${at("/devices/d")} HTTP/1.1\r\nHost: x\r\nAuthorization: ${owner}\r\n` +
      "Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n",
  );
  const text = await readToClose(socket);
  expect(text).toMatch(/^HTTP\/1\.1 413 /);
  expect(text).toContain("GenericRequestEntityTooLarge");
  expect(text.toLowerCase()).toContain("connection: close");
});

test("a body that grows too large is cut, and the answer still arrives", async () => {
  const { begin, responseTo, answerOf } = await createTlsWorld();
  const outgoing = begin("PUT", at("/devices/d"), { "content-type": "application/json" });
  const chunk = Buffer.alloc(16 * 1024, 0x20);
  let isAnswered = false;
  const answered = responseTo(outgoing).then((response) => {
    isAnswered = true;
    return answerOf(response);
  });
  for (let i = 0; i < 1_000 && !isAnswered && !outgoing.destroyed; i++) {
    outgoing.write(chunk);
    await new Promise(setImmediate);
  }
  expect((await answered).status).toBe(413);
});

test("a refused client with a long body gets its answer", async () => {
  const { begin, responseTo, answerOf } = await createTlsWorld();
  const outgoing = begin("PUT", at("/devices/d"), {
    "content-type": "application/json",
    "content-length": 200_000,
    authorization: "SharedAccessSignature x",
  });
  outgoing.write(Buffer.alloc(100_000, 0x20));
  const answer = await answerOf(await responseTo(outgoing));
  expect([answer.status, answer.headers["connection"]]).toEqual([401, "close"]);
});

test("a body is asked for only when somebody will read it", async () => {
  const { begin, responseTo } = await createTlsWorld();
  const expecting = { "content-type": "application/json", expect: "100-continue" };
  const welcome = begin("PUT", at("/devices/d"), { ...expecting, "content-length": 2 });
  welcome.flushHeaders();
  await once(welcome, "continue");
  welcome.end("{}");
  expect((await responseTo(welcome)).statusCode).toBe(200);

  const refused = begin("PUT", at("/devices/d"), {
    ...expecting,
    "content-length": 2,
    authorization: "",
  });
  let isInvited = false;
  refused.on("continue", () => (isInvited = true));
  refused.flushHeaders();
  expect((await responseTo(refused)).statusCode).toBe(401);
  expect(isInvited).toBe(false);
});

test.each([
  ["nothing at all", ""],
  ["half a request line", "GET /dev"],
  ["a head without end", `GET ${at("/devices")} HTTP/1.1\r\nHost: x\r\nX-A: `],
])("a client that sends %s and waits is closed", async (_sentence, text) => {
  const { raw } = await createTlsWorld({
    headersTimeoutMs: 100,
    requestTimeoutMs: 100,
    checkIntervalMs: 20,
  });
  const socket = await raw();
  socket.write(text);
  await readToClose(socket);
});

test("a client that sends its body a byte at a time is closed", async () => {
  const { raw, owner } = await createTlsWorld({
    requestTimeoutMs: 200,
    headersTimeoutMs: 100,
    checkIntervalMs: 20,
  });
  const socket = await raw();
  socket.write(
    `PUT ${at("/devices/d")} HTTP/1.1\r\nHost: x\r\nAuthorization: ${owner}\r\n` +
      "Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n",
  );
  const dripping = setInterval(() => socket.write(" "), 20);
  await readToClose(socket);
  clearInterval(dripping);
});

test("an idle connection is closed", async () => {
  const { raw } = await createTlsWorld({ keepAliveTimeoutMs: 50 });
  const socket = await raw();
  socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(await readToClose(socket)).toMatch(/^HTTP\/1\.1 200 /);
});

test.each([
  ["that never begins", ""],
  ["that never ends", "\u0016\u0003\u0001\u0002\u0000\u0001"],
  ["that is no TLS at all", "GET / HTTP/1.1\r\n\r\n"],
])("a handshake %s is closed", async (_sentence, bytes) => {
  const { plain } = await createTlsWorld({ handshakeTimeoutMs: 100 });
  const socket = await plain();
  socket.write(Buffer.from(bytes, "latin1"));
  await readToClose(socket);
});

test.each([
  ["is no HTTP", "\u0000\u0001\u0002\r\n\r\n", 400],
  ["has no Host", "GET /healthz HTTP/1.1\r\n\r\n", 400],
  [
    "has a head above 16 KB",
    `GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(20_000)}\r\n\r\n`,
    431,
  ],
  [
    "has two lengths",
    "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    400,
  ],
])("a request that %s is answered and closed", async (_sentence, text, status) => {
  const { raw } = await createTlsWorld();
  const socket = await raw();
  socket.write(text);
  expect(await readToClose(socket)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
});

test("connections beyond the bound are closed at once, the others served", async () => {
  const { raw, plain } = await createTlsWorld({ connectionsMax: 2 });
  const first = await raw();
  await raw();
  await readToClose(await plain());
  first.write("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  expect(await readToClose(first)).toMatch(/^HTTP\/1\.1 200 /);
});

test("requests beyond the bound are answered 503 ServerBusy", async () => {
  const { send, begin, identities, methods } = await createTlsWorld({ requestsMax: 1 });
  await identities.create(writeOf(device("d")));
  const waiting = begin("POST", at("/twins/d/methods"), { "content-type": "application/json" });
  waiting.end('{"methodName":"m","connectTimeoutInSeconds":300}');
  while (methods.inFlight === 0) await new Promise(setImmediate);
  const busy = await send("GET", at("/devices"));
  expect([busy.status, busy.headers["iothub-errorcode"]]).toEqual([503, "ServerBusy"]);
});

test("a client that takes no answer is cut, and others notice nothing", async () => {
  const world = await createTlsWorld({ writeStallMs: 100 });
  for (let i = 0; i < 500; i++) {
    await world.identities.create(writeOf(device(`d${i}`), { statusReason: "x".repeat(128) }));
  }
  const socket = await world.raw();
  socket.pause();
  const asked = `GET ${at("/devices")} HTTP/1.1\r\nHost: x\r\nAuthorization: ${world.owner}\r\n\r\n`;
  socket.write(asked.repeat(100));
  while (world.listener.inFlight === 0) await new Promise(setImmediate);
  expect((await world.send("GET", at("/statistics/devices"))).status).toBe(200);
  while (world.listener.inFlight > 0) await new Promise(setImmediate);
});

test("a stop lets requests finish and closes idle connections", async () => {
  const { raw, send, listener, identities, connections, methods } = await createTlsWorld();
  const { generationId } = await identities.create(writeOf(device("d")));
  const connection = connections.connect(device("d"), generationId, ["methods"]);
  const asked = send("POST", at("/twins/d/methods"), { methodName: "m" });
  const idle = await raw();
  while (methods.inFlight === 0) await new Promise(setImmediate);
  const stopped = listener.stop();
  methods.respond(connection, "1", 200, encodeUtf8("1"));
  const answer = await asked;
  expect([answer.status, answer.headers["connection"]]).toEqual([200, "close"]);
  await stopped;
  await readToClose(idle);
  await expect(send("GET", at("/devices"))).rejects.toThrow();
});

test("a stop closes connections that never finish their handshake", async () => {
  const { plain, listener } = await createTlsWorld();
  const silent = await plain();
  const half = await plain();
  half.write(Buffer.from([0x16, 0x03, 0x01, 0x01, 0x00]));
  await listener.stop(0);
  expect([await readToClose(silent), await readToClose(half)]).toEqual(["", ""]);
});

test("a stop that cannot wait tells waiting callers why", async () => {
  const { send, listener, identities, methods } = await createTlsWorld();
  await identities.create(writeOf(device("d")));
  const asked = send("POST", at("/twins/d/methods"), {
    methodName: "m",
    connectTimeoutInSeconds: 300,
  });
  while (methods.inFlight === 0) await new Promise(setImmediate);
  await listener.stop(0);
  const { status, headers } = await asked;
  expect([status, headers["hubwire-errorcode"]]).toEqual([503, "hub.stopping"]);
});

test("a connection that is upgraded is handed over, and a stop does not wait for it", async () => {
  const handed: string[] = [];
  const world = await createTlsWorld({}, {}, (message, socket, head) => {
    handed.push(`${message.url ?? ""} ${head.toString()}`);
    socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\n");
    socket.on("data", (chunk) => void socket.write(chunk));
  });
  const socket = await world.raw();
  socket.write("GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\nhead");
  await once(socket, "data");
  expect(handed).toEqual(["/x head"]);
  await world.listener.stop(0);
  socket.write("after");
  const [chunk] = (await once(socket, "data")) as [Buffer];
  expect(chunk.toString()).toBe("after");
});

test("without anybody to upgrade to, the request is answered as any other", async () => {
  const { raw } = await createTlsWorld();
  const socket = await raw();
  socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\n");
  const [chunk] = (await once(socket, "data")) as [Buffer];
  expect(chunk.toString()).toMatch(/^HTTP\/1\.1 200 /);
});

test("a taken port is named", async () => {
  const { services, port } = await createTlsWorld();
  const { key, fullChain: cert } = certificates.server;
  await expect(createRestListener({ services, key, cert, port })).rejects.toMatchObject({
    code: "hub.port_in_use",
  });
});

test("a renewed certificate serves new connections", async () => {
  const { listener, raw } = await createTlsWorld();
  const renewed = await certificates.issue({ cn: "renewed", san: ["localhost", "127.0.0.1"] });
  listener.updateSecureContext({ key: renewed.key, cert: renewed.fullChain });
  const socket = await raw();
  expect(socket.getPeerCertificate().subject.CN).toBe("renewed");
});
