import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { createTlsWorld } from "./tls-world.ts";
import { version } from "./rest-world.ts";
import { device, writeOf } from "./world.ts";

/** The bound on requests being worked on at a time. */
const inFlightMax = 2_000;
const devices = 50;
const perConnection = 100;

const isLong = process.env["HUBWIRE_LONG"] === "1";

/** Resolves when `count` answers have come on the connection, with their status codes. */
async function statuses(socket: TLSSocket, count: number): Promise<number[]> {
  let text = "";
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    text += chunk.toString("latin1");
    const found = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)];
    if (found.length >= count) return found.map(([, status]) => Number(status));
  }
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

const callOf = (deviceId: string, authorization: string): string => {
  const body = '{"methodName":"m","connectTimeoutInSeconds":300}';
  return (
    `POST /twins/${deviceId}/methods?${version} HTTP/1.1\r\nHost: hub.test\r\n` +
    `Authorization: ${authorization}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${body.length}\r\n\r\n${body}`
  );
};

test("2,000 requests wait side by side, others are served or told that the hub is busy, and every caller gets its answer", async () => {
  const world = await createTlsWorld();
  const { identities, connections, methods, listener } = world;
  const ids = Array.from({ length: devices }, (_, i) => `d${i}`);
  const generations = new Map<string, string>();
  for (const id of ids) {
    generations.set(id, (await identities.create(writeOf(device(id)))).generationId);
  }
  // One place is kept for the bystander.
  const sockets = await Promise.all(
    Array.from({ length: inFlightMax / perConnection }, () => world.raw()),
  );
  const counts = sockets.map((_, i) => (i === 0 ? perConnection - 1 : perConnection));
  const answers = sockets.map((socket, i) => statuses(socket, counts[i] ?? 0));
  let next = 0;
  for (const [i, socket] of sockets.entries()) {
    const calls = Array.from({ length: counts[i] ?? 0 }, () =>
      callOf(ids[next++ % devices] ?? "", world.owner),
    );
    socket.write(calls.join(""));
  }
  while (methods.inFlight < inFlightMax - 1) await new Promise(setImmediate);
  expect(listener.inFlight).toBe(inFlightMax - 1);

  for (let i = 0; i < 20; i++) {
    expect((await world.send("GET", `/devices/d1?${version}`)).status).toBe(200);
  }
  const last = world.begin("POST", `/twins/d0/methods?${version}`, {
    "content-type": "application/json",
  });
  last.end('{"methodName":"m","connectTimeoutInSeconds":300}');
  while (listener.inFlight < inFlightMax) await new Promise(setImmediate);
  const busy = await world.send("GET", `/devices/d1?${version}`);
  expect([busy.status, busy.headers["iothub-errorcode"]]).toEqual([503, "ServerBusy"]);
  last.destroy();

  for (const id of ids) {
    const connection = connections.connect(device(id), generations.get(id) ?? "");
    connection.sendMethod = (rid, _name, payload) => methods.respond(connection, rid, 200, payload);
    connections.subscribe(connection, "methods");
  }
  const all = (await Promise.all(answers)).flat();
  expect(all).toEqual(Array<number>(inFlightMax - 1).fill(200));
  expect(methods.inFlight).toBe(0);
});

test("callers with slow bodies hold up nobody, and are cut", async () => {
  const slow = isLong ? 400 : 40;
  const world = await createTlsWorld({
    headersTimeoutMs: 500,
    requestTimeoutMs: 500,
    checkIntervalMs: 50,
  });
  const sockets = await Promise.all(Array.from({ length: slow }, () => world.raw()));
  const closed = sockets.map((socket) => once(socket, "close"));
  for (const socket of sockets) {
    socket.resume();
    socket.write(
      `PUT /devices/d?${version} HTTP/1.1\r\nHost: hub.test\r\nAuthorization: ${world.owner}\r\n` +
        `Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`,
    );
  }
  while (world.listener.inFlight < slow) await new Promise(setImmediate);
  for (let i = 0; i < 20; i++) {
    expect((await world.send("PUT", `/devices/other${i}?${version}`, {})).status).toBe(200);
  }
  await Promise.all(closed);
  while (world.listener.inFlight > 0) await new Promise(setImmediate);
  expect(await world.identities.find(device("d"))).toBeUndefined();
});

test("a caller that leaves in the middle of its body leaves nothing behind", async () => {
  const world = await createTlsWorld();
  const path = `/twins/d/methods?${version}`;
  for (let i = 0; i < (isLong ? 500 : 20); i++) {
    const socket = await world.raw();
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: hub.test\r\nAuthorization: ${world.owner}\r\nContent-Length: 50\r\n\r\n{"`,
    );
    while (world.listener.inFlight === 0) await new Promise(setImmediate);
    socket.destroy();
    while (world.listener.inFlight > 0) await new Promise(setImmediate);
  }
  expect(world.log).toEqual([]);
});
