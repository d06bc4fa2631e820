import { connect } from "node:net";
import type { Socket } from "node:net";
import { listenTcp, tcpConnector } from "@hubwire/transport";
import type { SocketStreamOptions } from "@hubwire/transport";
import { afterEach, expect, test } from "vitest";
import { Collector } from "./collector.ts";

const open: { destroy(): void }[] = [];
const listeners: { close(): Promise<void> }[] = [];
const noSignal = new AbortController().signal;

afterEach(async () => {
  for (const stream of open.splice(0)) stream.destroy();
  for (const listener of listeners.splice(0)) await listener.close();
});

async function listening(
  options: SocketStreamOptions = {},
): Promise<{ port: number; accepting: Promise<Collector> }> {
  let resolve: (accepted: Collector) => void;
  const accepting = new Promise<Collector>((done) => (resolve = done));
  const listener = await listenTcp({
    host: "127.0.0.1",
    port: 0,
    ...options,
    onStream: (stream) => {
      open.push(stream);
      resolve(new Collector(stream));
    },
  });
  listeners.push(listener);
  return { port: listener.port, accepting };
}

async function connectedPair(): Promise<{ client: Collector; accepted: Collector; port: number }> {
  const { port, accepting } = await listening();
  const stream = await tcpConnector({ host: "127.0.0.1", port })(noSignal);
  open.push(stream);
  return { client: new Collector(stream), accepted: await accepting, port };
}

/** A peer that does not answer FIN with FIN. */
async function stubbornPeer(port: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  open.push(socket);
  socket.on("error", () => undefined).resume();
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

test("bytes go both ways over plain TCP, and end closes both sides", async () => {
  const { client, accepted } = await connectedPair();
  client.stream.write(Buffer.from("ping"));
  await accepted.until(() => accepted.text === "ping");
  accepted.stream.write(Buffer.from("pong"));
  accepted.stream.end();
  expect(await client.end()).toBeUndefined();
  expect(client.text).toBe("pong");
  expect(await accepted.end()).toBeUndefined();
  expect(accepted.stream.peer).toMatchObject({ certificate: undefined, tlsVersion: undefined });
});

test("refusal and abort are told as with TLS", async () => {
  const { port } = await connectedPair();
  for (const listener of listeners.splice(0)) await listener.close();
  const dial = tcpConnector({ host: "127.0.0.1", port });
  await expect(dial(noSignal)).rejects.toMatchObject({ code: "transport.refused" });
  await expect(dial(AbortSignal.abort())).rejects.toMatchObject({ code: "call.aborted" });
  const controller = new AbortController();
  const attempt = dial(controller.signal);
  controller.abort();
  await expect(attempt).rejects.toMatchObject({ code: "call.aborted" });
});

test("a peer that never closes its side is cut off when endTimeoutMs has passed", async () => {
  const { port, accepting } = await listening({ endTimeoutMs: 50 });
  const peer = await stubbornPeer(port);
  const accepted = await accepting;
  accepted.stream.end();
  expect(await accepted.end()).toBeUndefined();
  peer.destroy();
});

test("a peer that closed its side and does not read what is left for it is cut off too", async () => {
  const { port, accepting } = await listening({ endTimeoutMs: 50 });
  const peer = await stubbornPeer(port);
  peer.pause();
  const accepted = await accepting;
  while (accepted.stream.bufferedBytes < 1_000_000)
    accepted.stream.write(new Uint8Array(1_000_000));
  peer.end();
  await accepted.end();
});

test("a peer that goes on sending after end is cut off when it has sent a mebibyte", async () => {
  const { port, accepting } = await listening({ endTimeoutMs: 1_000_000 });
  const peer = await stubbornPeer(port);
  const accepted = await accepting;
  accepted.stream.end();
  const flood = (): void => {
    if (!peer.destroyed) peer.write(new Uint8Array(65_536), flood);
  };
  flood();
  expect(await accepted.end()).toBeUndefined();
  expect(accepted.receivedBytes).toBe(0);
});
