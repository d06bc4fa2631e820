import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { tlsConnector } from "@hubwire/transport";
import { expect, test } from "vitest";
import { Collector } from "./collector.ts";
import { certificates, cleanUp, startServer } from "./tls-world.ts";

const ca = certificates.root.cert;
const reason = new Error("changed my mind");
const aborted = { name: "IotError", code: "call.aborted", cause: reason };

test("an attempt whose signal was aborted before does not begin", async () => {
  const dial = tlsConnector({ host: "no-such-hub.invalid", port: 8883 });
  await expect(dial(AbortSignal.abort(reason))).rejects.toMatchObject(aborted);
});

test("an attempt can be given up after any number of turns, and leaves no socket behind on either side", async () => {
  const server = await startServer();
  const dial = tlsConnector({ host: "localhost", port: server.port, ca });
  let connected = 0;
  let gaveUp = 0;
  for (let turns = 0; turns < 60; turns++) {
    const controller = new AbortController();
    const attempt = dial(controller.signal);
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    controller.abort(reason);
    try {
      new Collector(await attempt).stream.destroy();
      connected++;
    } catch (error) {
      expect(error).toMatchObject(aborted);
      gaveUp++;
    }
  }
  expect(gaveUp).toBeGreaterThan(0);
  expect(connected + gaveUp).toBe(60);
  // What the server took is told to be gone, as a stream or as a handshake.
  await Promise.all(server.accepted.map((accepted) => accepted.end()));
  await server.listener.close();
  await noSocketsLeft();
});

test("given up in the middle of the TLS handshake, the connection is closed", async () => {
  const silent = createServer();
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  const controller = new AbortController();
  const attempt = tlsConnector({ host: "127.0.0.1", port, ca })(controller.signal);
  const socket = cleanUp(
    await new Promise<Socket>((resolve) => silent.once("connection", resolve)),
  );
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.once("data", resolve));
  controller.abort(reason);
  await expect(attempt).rejects.toMatchObject(aborted);
  await closed;
  silent.close();
  await noSocketsLeft();
});

test("the signal means the attempt: a stream that is open lives on", async () => {
  const server = await startServer();
  const controller = new AbortController();
  const dial = tlsConnector({ host: "127.0.0.1", port: server.port, ca });
  const stream = cleanUp(await dial(controller.signal));
  const accepted = await server.nextStream();
  controller.abort(reason);
  stream.write(Buffer.from("still here"));
  await accepted.until(() => accepted.text === "still here");
});

/** Waits until the process holds no TCP connection; the test's time-out is the failure. */
async function noSocketsLeft(): Promise<void> {
  while (process.getActiveResourcesInfo().some((kind) => /^(TCP|TLS)(Socket)?Wrap$/.test(kind))) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}
