import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import rhea from "rhea";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Hub } from "../../src/index.ts";
import { entityToken, hubToken, nowS, RawAmqp, trustedHub } from "./world.ts";

let hub: Hub;
beforeAll(async () => {
  hub = await trustedHub({
    limits: { amqp: { sessionsMax: 8, linksMax: 8, frameTimeoutMs: 100, tokensMax: 4 } },
  });
  await hub.createDevice({ deviceId: "dev-1" });
});
afterAll(() => hub.stop());

async function trusted(options: Record<string, unknown> = {}): Promise<RawAmqp> {
  const raw = await RawAmqp.open(hub, options);
  expect(await raw.put(hubToken(hub))).toBe(200);
  return raw;
}
const to = (deviceId: string): string => `/devices/${deviceId}/messages/devicebound`;
const data = (bytes: Buffer | string): unknown => rhea.message.data_section(Buffer.from(bytes));

describe("opening", () => {
  test.each([
    ["without SASL", {}],
    ["SASL ANONYMOUS", { username: "service" }],
  ])("%s lets a back end in, who then puts a token", async (_, options) => {
    const raw = await trusted(options);
    raw.close();
  });

  test("SASL PLAIN takes a policy's name with its token, and with its key for events", async () => {
    const username = `service@sas.root.${hub.hostName}`;
    const raw = await RawAmqp.open(hub, { username, password: hubToken(hub) });
    expect(
      await raw.send(await raw.sender("/messages/devicebound"), {
        to: to("dev-1"),
        body: data("x"),
      }),
    ).toBe("accepted");
    raw.close();
    const key = /SharedAccessKey=([^;]*)/.exec(hub.connectionString("service"))![1]!;
    const reader = await RawAmqp.open(hub, { username: "service", password: key });
    await reader.receiver("hubwire/ConsumerGroups/$Default/Partitions/0");
    reader.close();
  });

  test("SASL PLAIN with a wrong password is refused", async () => {
    const open = RawAmqp.open(hub, { username: "service", password: "bm8=" });
    await expect(open).rejects.toThrow();
  });

  test.each([
    ["a key that is no policy's", () => hubToken(hub).replace(/sig=[^&]*/, "sig=AAAA"), 401],
    ["another hub's name", () => hubToken(hub).replace("sr=localhost", "sr=elsewhere"), 401],
    ["a time that is over", () => hubToken(hub, "service", nowS() - 1000), 401],
    ["a policy that is unknown", () => hubToken(hub).replace("skn=service", "skn=nobody"), 401],
    ["something else", () => "Bearer abc", 401],
  ])("a token with %s is answered 401", async (_, token, status) => {
    const raw = await RawAmqp.open(hub);
    expect(await raw.put(token())).toBe(status);
    await expect(raw.sender("/messages/devicebound")).rejects.toMatchObject({
      condition: "amqp:unauthorized-access",
    });
    raw.close();
  });

  test("more tokens than a connection may have are refused", async () => {
    const raw = await trusted();
    for (let i = 0; i < 3; i++) await raw.put(hubToken(hub), `t${i}`);
    expect(await raw.put(hubToken(hub), "one too many")).toBe(403);
    raw.close();
  });
});

describe("links", () => {
  test.each([
    ["registryRead", "/messages/devicebound"],
    ["device", "/messages/devicebound"],
  ])("policy %s has no right to %s", async (policy, address) => {
    const raw = await RawAmqp.open(hub);
    expect(await raw.put(hubToken(hub, policy))).toBe(200);
    await expect(raw.sender(address)).rejects.toMatchObject({
      condition: "amqp:unauthorized-access",
    });
    await expect(raw.receiver("/messages/serviceBound/feedback")).rejects.toMatchObject({
      condition: "amqp:unauthorized-access",
    });
    raw.close();
  });

  test("a token for events opens nothing of the hub's own, and the other way round", async () => {
    const raw = await RawAmqp.open(hub);
    expect(await raw.put(entityToken(hub, "hubwire"))).toBe(202);
    await expect(raw.sender("/messages/devicebound")).rejects.toMatchObject({
      condition: "amqp:unauthorized-access",
    });
    raw.close();
    const other = await trusted();
    const reader = other.receiver("hubwire/ConsumerGroups/$Default/Partitions/0");
    await expect(reader).rejects.toMatchObject({ condition: "amqp:unauthorized-access" });
    other.close();
  });

  test.each(["/messages/nowhere", "__proto__", "", "hubwire/ConsumerGroups/$Default/Partitions"])(
    "the address %j is not found, and the connection lives on",
    async (address) => {
      const raw = await trusted();
      await expect(raw.receiver(address)).rejects.toMatchObject({ condition: "amqp:not-found" });
      await raw.sender("/Messages/DeviceBound/");
      raw.close();
    },
  );

  test("file notifications are answered as absent", async () => {
    const raw = await trusted();
    const receiver = raw.receiver("/messages/serviceBound/filenotifications");
    await expect(receiver).rejects.toMatchObject({ condition: "amqp:not-found" });
    raw.close();
  });

  test("the hub's own events address redirects to the Event Hubs-compatible endpoint", async () => {
    const raw = await trusted();
    const receiver = raw.receiver("messages/events/ConsumerGroups/$Default/Partitions/1");
    await expect(receiver).rejects.toMatchObject({
      condition: "amqp:link:redirect",
      info: {
        hostname: "localhost",
        "network-host": "localhost",
        port: hub.amqpPort,
        address: `amqps://localhost:${hub.amqpPort}/hubwire/ConsumerGroups/$Default/Partitions/1`,
      },
    });
    raw.close();
  });

  test("a link whose token runs out is detached; a renewed one is not", async () => {
    const short = await trustedHub({ clockToleranceS: 0 });
    const raw = await RawAmqp.open(short);
    await raw.put(hubToken(short, "service", nowS() + 2), "a");
    const sender = await raw.sender("/messages/devicebound");
    await once(sender as never, "sender_error");
    expect(sender.error).toMatchObject({ condition: "amqp:unauthorized-access" });
    expect(await raw.put(hubToken(short), "a")).toBe(200);
    await raw.sender("/messages/devicebound");
    raw.close();
    await short.stop();
  });
});

describe("cloud-to-device messages", () => {
  test("a message is accepted when it is stored, whatever types its properties have", async () => {
    const { connectionString } = await hub.createDevice({ deviceId: "props" });
    const raw = await trusted();
    const sender = await raw.sender("/messages/devicebound");
    const outcome = await raw.send(sender, {
      to: to("props"),
      message_id: rhea.string_to_uuid("4dce0b3a-5f3a-4e61-8e92-9a2d2f0d6b11"),
      correlation_id: "c-1",
      user_id: Buffer.from("me"),
      content_type: "application/json",
      application_properties: { "iothub-ack": "none", n: 5, b: true, s: "text" },
      body: data("{}"),
    });
    expect(outcome).toBe("accepted");
    raw.close();
    const { connect } = await import("@hubwire/device");
    const device = await connect({ connectionString, ca: hub.caPem } as never);
    for await (const message of device.messages()) {
      expect(message).toMatchObject({
        properties: { n: "5", b: "true", s: "text" },
      });
      expect(JSON.stringify(message)).toContain("4dce0b3a-5f3a-4e61-8e92-9a2d2f0d6b11");
      break;
    }
    await device.close();
  });

  test.each([
    ["an unknown device", () => ({ to: to("nobody"), body: data("x") }), "amqp:not-found"],
    [
      "a body that is too large",
      () => ({ to: to("dev-1"), body: data(randomBytes(70_000)) }),
      "amqp:link:message-size-exceeded",
    ],
    [
      "a body larger than the link takes",
      () => ({ to: to("dev-1"), body: data(randomBytes(2_000_000)) }),
      "amqp:link:message-size-exceeded",
    ],
    [
      "an expiry that is over",
      () => ({ to: to("dev-1"), absolute_expiry_time: Date.now() - 1000, body: data("x") }),
      "amqp:not-allowed",
    ],
    ["no address", () => ({ body: data("x") }), "com.microsoft:argument-error"],
    [
      "a malformed address",
      () => ({ to: to("%zz"), body: data("x") }),
      "com.microsoft:argument-error",
    ],
    [
      "a body of no data",
      () => ({ to: to("dev-1"), body: { a: 1 } }),
      "com.microsoft:argument-error",
    ],
    [
      "an unknown kind of feedback",
      () => ({
        to: to("dev-1"),
        application_properties: { "iothub-ack": "maybe" },
        body: data("x"),
      }),
      "com.microsoft:argument-error",
    ],
  ])(
    "%s is rejected with the service's condition, and the link lives on",
    async (_, message, condition) => {
      const raw = await trusted();
      const sender = await raw.sender("/messages/devicebound");
      expect(await raw.send(sender, message())).toBe(condition);
      expect(await raw.send(sender, { to: to("dev-1"), body: data("x") })).toBe("accepted");
      await hub.c2d.purge("dev-1");
      raw.close();
    },
  );

  test("the 51st message of a device is refused", async () => {
    await hub.createDevice({ deviceId: "full" });
    const raw = await trusted();
    const sender = await raw.sender("/messages/devicebound");
    const outcomes = [];
    for (let i = 0; i < 51; i++)
      outcomes.push(await raw.send(sender, { to: to("full"), body: data("x") }));
    expect(outcomes.slice(0, 50).every((outcome) => outcome === "accepted")).toBe(true);
    expect(outcomes[50]).toBe("amqp:resource-limit-exceeded");
    raw.close();
  });
});

describe("bad peers", () => {
  const dial = async (): Promise<tls.TLSSocket> => {
    const socket = tls.connect({ host: "localhost", port: hub.amqpPort!, ca: hub.caPem });
    await once(socket, "secureConnect");
    socket.on("error", () => {});
    return socket;
  };
  const header = Buffer.from("414d515000010000", "hex");

  test.each([
    ["a frame larger than announced", Buffer.from("7fffffff02000000", "hex")],
    ["a frame smaller than a head", Buffer.from("0000000402000000", "hex")],
    ["a transfer before open", Buffer.from("0000000c02000000005314c00100".padEnd(24, "0"), "hex")],
    [
      "a frame of nonsense",
      Buffer.concat([Buffer.from("0000001402000000", "hex"), Buffer.alloc(12, 0xff)]),
    ],
    [
      "an array of four billion nothings",
      Buffer.from("0000001902000000005310f0000000090000000cffffffff45".padEnd(50, "0"), "hex"),
    ],
    ["another protocol", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
  ])("%s ends that connection and no other", async (_, bytes) => {
    const other = await trusted();
    const socket = await dial();
    if (!bytes.toString("latin1").startsWith("GET")) socket.write(header);
    socket.write(bytes);
    socket.resume();
    await once(socket, "close");
    await other.sender("/messages/devicebound");
    other.close();
  });

  test("a frame that never ends ends its connection", async () => {
    const socket = await dial();
    socket.write(header);
    socket.write(Buffer.from("0000ffff", "hex"));
    socket.resume();
    await once(socket, "close");
  });

  /** open, with container id "a". */
  const openFrame = Buffer.from("0000001102000000005310c00401a10161", "hex");

  test("a peer that is silent for too long is told so and closed", async () => {
    const strict = await trustedHub({ limits: { amqp: { idleTimeoutMs: 30 } } });
    const socket = tls.connect({ host: "localhost", port: strict.amqpPort!, ca: strict.caPem });
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    const received: Buffer[] = [];
    socket.on("data", (bytes: Buffer) => received.push(bytes));
    socket.write(Buffer.concat([header, openFrame]));
    await once(socket, "close");
    expect(Buffer.concat(received).toString("latin1")).toContain("amqp:resource-limit-exceeded");
    await strict.stop();
  });

  test("a peer that asked for it is sent empty frames", async () => {
    const raw = await RawAmqp.open(hub, { idle_time_out: 1_000 });
    const { socket } = raw.connection as unknown as { socket: tls.TLSSocket };
    const [bytes] = (await once(socket, "data")) as [Buffer];
    expect(bytes.toString("hex")).toBe("0000000802000000");
    raw.close();
  });

  test("sessions and links have a bound", async () => {
    const raw = await trusted();
    for (let i = 0; i < 9; i++) raw.connection.create_session().begin();
    expect(await raw.ended).toMatchObject({ condition: "amqp:resource-limit-exceeded" });
    const links = await trusted();
    for (let i = 0; i < 9; i++)
      links.connection.open_sender({ target: "/messages/devicebound" } as never);
    expect(await links.ended).toMatchObject({ condition: "amqp:resource-limit-exceeded" });
  });

  test("without TLS, on loopback, the hub takes the same tokens", async () => {
    const raw = await RawAmqp.open(hub, { transport: "tcp", port: hub.amqpPlainPort });
    expect(await raw.put(hubToken(hub))).toBe(200);
    raw.close();
  });

  test("any bytes at all never end the hub, nor anybody else's connection", async () => {
    const runs = Number(process.env["HUBWIRE_LONG"] === "1" ? 20_000 : 60);
    const seed = Number(process.env["HUBWIRE_SEED"] ?? Date.now() % 1_000_000);
    const random = mulberry(seed);
    const other = await trusted();
    for (let run = 0; run < runs; run++) {
      const socket = net.connect(hub.amqpPlainPort!, "127.0.0.1");
      socket.on("error", () => {});
      socket.resume();
      socket.write(header);
      for (let frame = 0; frame < 3; frame++) socket.write(mutatedFrame(random));
      socket.end();
      if (run % 16 === 0) await once(socket, "close");
    }
    const sent = await other.send(await other.sender("/messages/devicebound"), {
      to: to("dev-1"),
      body: data("x"),
    });
    expect(sent, `seed ${seed}`).toBe("accepted");
    await hub.c2d.purge("dev-1");
    other.close();
  });
});

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const goodFrames = [
  // open, begin, attach (sender and receiver), flow, transfer, disposition, detach, end, close
  "0000001c02000000005310c00f0201a1016101a1096c6f63616c686f737440".slice(0, 56),
  "0000001a02000000005311c00d0440435000000800700000080040".slice(0, 52),
  "0000002e02000000005312c0210aa1016143405002500000005329c0080101a104246362734040404040".slice(
    0,
    84,
  ),
  "0000001e02000000005313c01109434370ffffffff43704343704040".padEnd(60, "0"),
  "0000002002000000005314c01306434343a00101434142007740".padEnd(64, "0"),
  "0000001a02000000005315c00d05415000 70ffffffff4140".replaceAll(" ", "").padEnd(52, "0"),
].map((hex) => Buffer.from(hex, "hex"));

function mutatedFrame(random: () => number): Buffer {
  const frame = Buffer.from(goodFrames[Math.floor(random() * goodFrames.length)]!);
  const changes = Math.floor(random() * 4);
  for (let i = 0; i < changes; i++) {
    frame[4 + Math.floor(random() * (frame.length - 4))] = Math.floor(random() * 256);
  }
  frame.writeUInt32BE(random() < 0.95 ? frame.length : Math.floor(random() * 2 ** 32), 0);
  return frame;
}
