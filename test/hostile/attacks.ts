import mqttPacket, { type Packet } from "mqtt-packet";
import type { SeededRandom } from "@hubwire/testkit";
import {
  c2dFilter,
  connectPacket,
  eventsTopic,
  puback,
  publish,
  subscribe,
} from "../support/packets.ts";
import { leave, type Attacker } from "./attacker.ts";

/** An identity the attackers have a good token for. */
export type Stolen = { deviceId: string; token: string };

type Attack = (attacker: Attacker, random: SeededRandom, stolen: Stolen) => Promise<void>;

const bytesOf = (...packets: Packet[]): Buffer =>
  Buffer.concat(packets.map((packet) => mqttPacket.generate(packet)));

const edges = [0, 1, 2, 4, 0x10, 0x30, 0x32, 0x40, 0x7f, 0x80, 0x82, 0xc0, 0xe0, 0xff];

/** A few bytes changed, put in, left out, or everything behind one cut off. */
function damaged(bytes: Buffer, random: SeededRandom): Buffer {
  const list = [...bytes];
  for (let hits = 1 + random.int(4); hits > 0 && list.length > 1; hits -= 1) {
    const at = random.int(list.length);
    const value = random.chance(0.5) ? random.pick(edges) : random.int(256);
    const how = random.int(5);
    if (how === 0) list[at] = value;
    else if (how === 1) list[at] = list[at]! ^ (1 << random.int(8));
    else if (how === 2) list.splice(at, 0, value);
    else if (how === 3) list.splice(at, 1 + random.int(3));
    else list.length = at + 1;
  }
  return Buffer.from(list);
}

const hello = (stolen: Stolen, random: SeededRandom, fields: object = {}): Packet =>
  connectPacket({
    clientId: stolen.deviceId,
    username: `localhost/${stolen.deviceId}/?api-version=2021-04-12`,
    password: stolen.token,
    clean: random.chance(0.5),
    ...fields,
  });

const filters = (deviceId: string): string[] => [
  c2dFilter(deviceId),
  "$iothub/methods/POST/#",
  "$iothub/twin/res/#",
  "$iothub/twin/PATCH/properties/desired/#",
];

/** What a good device does in a short life. */
function conversation(stolen: Stolen, random: SeededRandom): Buffer {
  const { deviceId } = stolen;
  return bytesOf(
    hello(stolen, random),
    subscribe(1, ...filters(deviceId).map((filter): [string, 0 | 1] => [filter, 1])),
    publish(`${eventsTopic(deviceId)}%24.mid=${random.int(1e6)}&a=b`, "telemetry", 2),
    publish("$iothub/twin/GET/?$rid=1", ""),
    publish("$iothub/twin/PATCH/properties/reported/?$rid=2", `{"n":${random.int(100)}}`),
    publish("$iothub/methods/res/200/?$rid=1", "{}"),
    puback(random.int(65_536)),
    { cmd: "pingreq" },
    { cmd: "disconnect" },
  );
}

/** Over TLS: says this, in pieces or whole, and leaves. */
const saying =
  (bytes: (stolen: Stolen, random: SeededRandom) => Buffer): Attack =>
  async (attacker, random, stolen) => {
    const socket = await attacker.tls(random);
    const all = bytes(stolen, random);
    if (random.chance(0.2)) {
      const cut = random.int(all.length);
      socket.write(all.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      socket.write(all.subarray(cut));
    } else socket.write(all);
    await leave(socket, random);
  };

const overTcp =
  (bytes: (attacker: Attacker, random: SeededRandom, stolen: Stolen) => Promise<Buffer>): Attack =>
  async (attacker, random, stolen) => {
    const socket = await attacker.tcp();
    socket.write(await bytes(attacker, random, stolen));
    await leave(socket, random);
  };

/** Each with its share of all connections. */
export const attacks: { name: string; share: number; run: Attack }[] = [
  {
    name: "a TCP connection that says nothing",
    share: 3,
    run: overTcp(async () => Buffer.alloc(0)),
  },
  {
    name: "random bytes instead of TLS",
    share: 4,
    run: overTcp(async (_, random) => Buffer.from(random.bytes(1 + random.int(600)))),
  },
  {
    name: "MQTT without TLS",
    share: 3,
    run: overTcp(async (_, random, stolen) => conversation(stolen, random)),
  },
  {
    name: "half a handshake",
    share: 7,
    run: overTcp(async (attacker) => attacker.clientHello()),
  },
  {
    name: "a truncated first TLS message",
    share: 5,
    run: overTcp(async (attacker, random) => {
      const bytes = await attacker.clientHello();
      return bytes.subarray(0, 1 + random.int(bytes.length - 1));
    }),
  },
  {
    name: "a damaged first TLS message",
    share: 5,
    run: overTcp(async (attacker, random) => damaged(await attacker.clientHello(), random)),
  },
  {
    name: "TLS that breaks off into garbage",
    share: 4,
    async run(attacker, random, stolen) {
      const tcp = await attacker.tcp();
      tcp.write(await attacker.clientHello());
      tcp.once("data", () => tcp.write(random.bytes(200)));
      await leave(tcp, random);
      void stolen;
    },
  },
  {
    name: "TLS and then nothing",
    share: 4,
    async run(attacker, random) {
      await leave(await attacker.tls(random), random, { patienceMs: random.int(20) });
    },
  },
  {
    name: "random bytes instead of MQTT",
    share: 8,
    run: saying((_, random) => Buffer.from(random.bytes(1 + random.int(400)))),
  },
  { name: "a whole good conversation", share: 3, run: saying(conversation) },
  {
    name: "a damaged conversation",
    share: 18,
    run: saying((stolen, random) => damaged(conversation(stolen, random), random)),
  },
  {
    name: "a good CONNECT, then garbage",
    share: 8,
    run: saying((stolen, random) =>
      Buffer.concat([bytesOf(hello(stolen, random)), random.bytes(1 + random.int(300))]),
    ),
  },
  {
    name: "a damaged CONNECT",
    share: 8,
    run: saying((stolen, random) => damaged(bytesOf(hello(stolen, random)), random)),
  },
  {
    name: "a token of somebody else",
    share: 4,
    run: saying((stolen, random) => {
      const deviceId = random.pick(["witness", "nobody", `${stolen.deviceId}x`]);
      return bytesOf(
        hello({ ...stolen, deviceId }, random),
        publish(eventsTopic(deviceId), "x", 1),
      );
    }),
  },
  {
    name: "a flood of SUBSCRIBE",
    share: 3,
    run: saying((stolen, random) => {
      const some = [...filters(stolen.deviceId), "#", "a/b", eventsTopic("witness")];
      const many = Array.from({ length: 100 + random.int(200) }, (_, i) =>
        subscribe(i + 1, [some[random.int(random.chance(0.02) ? some.length : 4)]!, 1]),
      );
      return bytesOf(hello(stolen, random, { clean: false }), ...many);
    }),
  },
  {
    name: "huge property bags",
    share: 3,
    run: saying((stolen, random) => {
      const pairs = Array.from({ length: 1 + random.int(4_000) }, (_, i) => `k${i}=${i}%20`);
      const topic = (eventsTopic(stolen.deviceId) + pairs.join("&")).slice(0, 65_000);
      return bytesOf(
        hello(stolen, random),
        publish(topic, "x", 1),
        publish(`${topic}&z=%f`, "x", 2),
      );
    }),
  },
  {
    name: "a packet that announces 256 MB, and some of it",
    share: 2,
    run: saying((stolen, random) =>
      Buffer.concat([
        bytesOf(hello(stolen, random)),
        Buffer.of(0x32, 0xff, 0xff, 0xff, 0x7f),
        Buffer.alloc(random.int(100_000)),
      ]),
    ),
  },
  {
    name: "half a large message",
    share: 2,
    run: saying((stolen, random) => {
      const message = bytesOf(publish(eventsTopic(stolen.deviceId), Buffer.alloc(250_000), 1));
      return Buffer.concat([
        bytesOf(hello(stolen, random)),
        message.subarray(0, random.int(message.length)),
      ]);
    }),
  },
  {
    name: "cloud-to-device messages that nobody reads or acknowledges",
    share: 3,
    async run(attacker, random, stolen) {
      const socket = await attacker.tls(random);
      socket.write(
        bytesOf(
          hello(stolen, random, { clean: false }),
          subscribe(
            1,
            [c2dFilter(stolen.deviceId), 1],
            ["$iothub/twin/PATCH/properties/desired/#", 0],
          ),
        ),
      );
      await leave(socket, random, { patienceMs: 50, reading: random.chance(0.3) });
    },
  },
  {
    name: "requests whose answers nobody reads",
    share: 2,
    async run(attacker, random, stolen) {
      const socket = await attacker.tls(random);
      const gets = Array.from({ length: 500 }, (_, i) =>
        publish(`$iothub/twin/GET/?$rid=${i}`, ""),
      );
      socket.write(
        bytesOf(hello(stolen, random), subscribe(1, ["$iothub/twin/res/#", 0]), ...gets),
      );
      await leave(socket, random, { reading: false });
    },
  },
  {
    name: "a last will and a cut",
    share: 2,
    run: saying((stolen, random) =>
      bytesOf(
        hello(stolen, random, {
          will: {
            topic: eventsTopic(stolen.deviceId),
            payload: "w".repeat(random.int(2_000)),
            qos: random.int(3),
          },
        }),
      ),
    ),
  },
];

const shares = attacks.reduce((sum, { share }) => sum + share, 0);

/** One attack, chosen by the shares. */
export function pickAttack(random: SeededRandom): (typeof attacks)[number] {
  let left = random.int(shares);
  for (const attack of attacks) {
    left -= attack.share;
    if (left < 0) return attack;
  }
  throw new Error("the shares do not add up");
}
