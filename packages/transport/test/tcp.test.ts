import { listenTcp, tcpConnector } from "@hubwire/transport";
import { afterEach, expect, test } from "vitest";
import { Collector } from "./collector.ts";

const open: { destroy(): void }[] = [];
const listeners: { close(): Promise<void> }[] = [];
const noSignal = new AbortController().signal;

afterEach(async () => {
  for (const stream of open.splice(0)) stream.destroy();
  for (const listener of listeners.splice(0)) await listener.close();
});

async function connectedPair(): Promise<{ client: Collector; accepted: Collector; port: number }> {
  let resolve: (accepted: Collector) => void;
  const accepting = new Promise<Collector>((done) => (resolve = done));
  const listener = await listenTcp({
    host: "127.0.0.1",
    port: 0,
    onStream: (stream) => {
      open.push(stream);
      resolve(new Collector(stream));
    },
  });
  listeners.push(listener);
  const stream = await tcpConnector({ host: "127.0.0.1", port: listener.port })(noSignal);
  open.push(stream);
  return { client: new Collector(stream), accepted: await accepting, port: listener.port };
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
