import { CuttingProxy } from "@hubwire/testkit";
import { Driver, systemClock } from "@hubwire/transport";
import type { ByteStream, CloseCause } from "@hubwire/transport";
import { expect, test } from "vitest";
import { Collector } from "./collector.ts";
import { ScriptedSession } from "./scripted-session.ts";
import type { ScriptedEffect } from "./scripted-session.ts";
import { connectTo, startServer } from "./tls-world.ts";

type Served = {
  session: ScriptedSession;
  driver: Driver<ScriptedEffect>;
  closed: Promise<CloseCause>;
};

/** A TLS server whose connections are driven, each with a session of its own. */
async function drivenServer(options: { receiptsMax?: number; endTimeoutMs?: number } = {}) {
  const served: Served[] = [];
  let wake: () => void = () => undefined;
  const onStream = (stream: ByteStream): void => {
    const session = new ScriptedSession();
    let tell: (cause: CloseCause) => void = () => undefined;
    const closed = new Promise<CloseCause>((resolve) => (tell = resolve));
    const driver: Driver<ScriptedEffect> = new Driver<ScriptedEffect>({
      session,
      stream,
      clock: systemClock(),
      onEffects: () => undefined,
      onClosed: (cause) => tell(cause),
      ...(options.receiptsMax !== undefined && { receiptsMax: options.receiptsMax }),
    });
    served.push({ session, driver, closed });
    driver.start();
    wake();
  };
  const { endTimeoutMs = 5_000 } = options;
  const { port } = await startServer({ onStream, endTimeoutMs });
  const first = async (): Promise<Served> => {
    while (served[0] === undefined) await new Promise<void>((resolve) => (wake = resolve));
    return served[0];
  };
  return { port, first };
}

test("while too many receipts are open the client's bytes stay with the client, then all arrive", async () => {
  const server = await drivenServer({ receiptsMax: 10 });
  const client = new Collector(await connectTo(server.port));
  const { session, driver } = await server.first();
  let receivedBytes = 0;
  session.onReceive = (text) => {
    receivedBytes += text.length;
    session.openReceipts++;
  };
  const chunk = Buffer.alloc(65_536, "x");
  const total = 64 * 1_048_576;
  let writtenBytes = 0;
  while (writtenBytes < total) {
    client.stream.write(chunk);
    writtenBytes += chunk.length;
  }
  // It stands still once kernel and TLS buffers are full.
  for (let before = -1; before !== client.stream.bufferedBytes;) {
    before = client.stream.bufferedBytes;
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(client.stream.bufferedBytes).toBeGreaterThan(total / 2);
  expect(receivedBytes).toBeLessThan(2 * 1_048_576);
  // A commit completes: everything received so far is acknowledged, over and over.
  while (receivedBytes < total) {
    session.openReceipts = 0;
    session.say("ack");
    driver.flush();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(receivedBytes).toBe(total);
});

test("a half-open connection ends by the session's deadline, and its socket by the end's", async () => {
  const server = await drivenServer({ endTimeoutMs: 50 });
  await using proxy = await CuttingProxy.start({ targetPort: server.port });
  const client = new Collector(await connectTo(proxy.port));
  const { session, driver, closed } = await server.first();
  proxy.cut("client");
  await client.end();
  session.deadlineMs = systemClock().nowMs() + 20;
  session.onTick = () => {
    session.say("goodbye");
    return [{ type: "close", code: "mqtt.keep_alive_timeout", reason: "nothing heard" }];
  };
  driver.touch();
  expect(await closed).toMatchObject({ by: "session", code: "mqtt.keep_alive_timeout" });
});

test("a cut that is noticed is the peer's end, with its cause", async () => {
  const server = await drivenServer();
  await using proxy = await CuttingProxy.start({ targetPort: server.port });
  const client = new Collector(await connectTo(proxy.port));
  const { closed, session, driver } = await server.first();
  // While the handshake's last writes are under way, Linux may report the reset to these instead, which Node drops.
  session.say("hello");
  driver.flush();
  await client.until(() => client.text === "hello");
  proxy.cut();
  expect(await closed).toMatchObject({ by: "peer", error: { code: "transport.reset" } });
});
