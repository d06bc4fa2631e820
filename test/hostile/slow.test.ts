import { once } from "node:events";
import { connect as tcpConnect, type Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";
import { Duplex } from "node:stream";
import mqttPacket from "mqtt-packet";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectPacket, eventsTopic, publish, subscribe } from "../support/packets.ts";
import { hostileWorld, turn, type HostileWorld } from "./world.ts";

// The real bounds are 10 and 30 seconds; nothing here depends on how long these are.
const limits = {
  handshakeTimeoutMs: 500,
  mqtt: {
    connectTimeoutMs: 500,
    slowReaderTimeoutMs: 300,
    bufferedBytesMax: 64 * 1024,
  },
};

let world: HostileWorld;
let hostile: Awaited<ReturnType<HostileWorld["keyed"]>>;
beforeAll(async () => {
  world = await hostileWorld({ limits });
  hostile = await world.keyed("hostile");
  const big = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`k${i}`, "x".repeat(4_000)]));
  const ref = { deviceId: "hostile", moduleId: undefined };
  await world.hub.twins.patch(ref, { properties: { desired: big } }, undefined);
});
afterAll(() => world.end());

/** Drips bytes until the connection is closed, a whole life long if need be. */
async function drip(
  socket: { write(bytes: Uint8Array): void; destroyed: boolean },
  bytes: Uint8Array,
): Promise<void> {
  for (const byte of bytes) {
    if (socket.destroyed) return;
    socket.write(Uint8Array.of(byte));
    await turn(20);
  }
}

test("a client that sends nothing is closed, with one line", async () => {
  const client = await world.open();
  expect(await client.rest()).toEqual([]);
  expect(await client.closed()).toBe("end");
  expect(world.logger.about(client.address)).toMatchObject([
    { level: "warn", event: "connect_refused", code: "mqtt.connect_timeout" },
  ]);
  await world.witness.beat(1);
});

test("a client that sends a byte now and then gains no time by it", async () => {
  const client = await world.open();
  const bytes = mqttPacket.generate(connectPacket(await world.connectFields(hostile)));
  await drip(client.socket, bytes);
  expect(await client.rest()).toEqual([]);
  expect(world.logger.about(client.address)).toMatchObject([
    { event: "connect_refused", code: "mqtt.connect_timeout" },
  ]);
  await world.witness.beat(1);
});

test("a connected client that stalls in the middle of a packet is closed when its keep-alive is over", async () => {
  const client = await world.online(hostile, { keepalive: 1 });
  client.send(Uint8Array.of(0x32, 100, 0, 28));
  expect(await client.rest()).toEqual([]);
  expect(world.logger.about(client.address)).toMatchObject([
    { event: "connected" },
    { event: "disconnected", code: "mqtt.keep_alive_timeout" },
  ]);
  expect(await world.bodiesOf("hostile")).toEqual([]);
});

/** What a client says first, as OpenSSL makes it. */
async function clientHello(): Promise<Uint8Array> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(bytes: Buffer, _, done) {
        resolve(new Uint8Array(bytes));
        done();
      },
    });
    tlsConnect({ socket: wire, servername: "localhost" }).on("error", () => {});
  });
}

async function plain(): Promise<{ socket: Socket; address: string; closed: Promise<unknown> }> {
  const socket = tcpConnect({ host: "127.0.0.1", port: world.hub.mqttPort });
  socket.on("error", () => {});
  socket.resume();
  const closed = once(socket, "close");
  await once(socket, "connect");
  return { socket, address: `127.0.0.1:${socket.localPort}`, closed };
}

const connect = async (): Promise<Uint8Array> =>
  mqttPacket.generate(connectPacket(await world.connectFields(hostile)));
const http = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

const handshakes: [name: string, bytes: () => Promise<Uint8Array>, reason: RegExp][] = [
  ["that never begins", async () => new Uint8Array(), /handshake timeout/i],
  [
    "that stops inside its first message",
    async () => (await clientHello()).subarray(0, 100),
    /handshake timeout/i,
  ],
  ["that stops when it is the client's turn", clientHello, /handshake timeout/i],
  ["that is plain MQTT", connect, /./],
  ["that is HTTP", async () => Buffer.from(http), /./],
  ["that is random", async () => Buffer.alloc(500, 0xa5), /./],
  [
    "that announces a record larger than any",
    async () => Uint8Array.of(0x16, 3, 1, 0xff, 0xff, 1, 0, 0, 0),
    /./,
  ],
];

test.each(handshakes)(
  "a TLS handshake %s is closed, with one debug line and no stream",
  async (_, bytes, reason) => {
    const { socket, address, closed } = await plain();
    socket.write(await bytes());
    await closed;
    const lines = world.logger.about(address);
    expect(lines).toMatchObject([{ level: "debug", event: "tls_refused" }]);
    expect(lines[0]?.["reason"]).toMatch(reason);
    await world.witness.beat(1);
  },
);

test("a TLS handshake that drips is closed", async () => {
  const { socket, address, closed } = await plain();
  await drip(socket, await clientHello());
  await closed;
  expect(world.logger.about(address)).toMatchObject([{ event: "tls_refused" }]);
});

test("many at once that say nothing are all closed, and nobody waits for them", async () => {
  const silent = await Promise.all(Array.from({ length: 100 }, plain));
  const open = await Promise.all(Array.from({ length: 50 }, () => world.open()));
  await world.witness.beat(5);
  const good = await world.online(await world.keyed("in-between"));
  await good.disconnect();
  await Promise.all([...silent.map(({ closed }) => closed), ...open.map((each) => each.closed())]);
  await world.nothingLeft();
});

// Many at once pile up beyond any patience; one at a time, reading stops first, and then patience runs out.
test.each([
  ["at once", 200],
  ["one by one", 1],
])("a client that asks for its twin %s and takes no answer is cut", async (_, each) => {
  const client = await world.online(hostile);
  client.send(subscribe(1, ["$iothub/twin/res/#", 0]));
  expect(await client.next()).toMatchObject({ cmd: "suback" });
  client.socket.pause();
  let asked = 0;
  while (world.logger.about(client.address).length < 2) {
    if (client.socket.writableLength < 1 << 20) {
      client.send(
        ...Array.from({ length: each }, () => publish(`$iothub/twin/GET/?$rid=${asked++}`, "")),
      );
    }
    await turn();
  }
  expect(world.logger.about(client.address)).toMatchObject([
    { event: "connected" },
    { event: "disconnected", code: "transport.slow_reader" },
  ]);
  client.socket.resume();
  await client.closed();
  await world.witness.beat(1);
});

test("a client that floods telemetry and takes no PUBACK does not hold up others", async () => {
  const client = await world.online(hostile);
  client.socket.pause();
  const flood = mqttPacket.generate(publish(eventsTopic("hostile"), Buffer.alloc(1_000), 1));
  const chunk = Buffer.concat(Array.from({ length: 60 }, () => flood));
  for (let i = 0; i < 100; i += 1) client.send(chunk);
  await world.witness.beat(20);
  client.cut();
  await world.lastLineAbout(client, "disconnected");
});
