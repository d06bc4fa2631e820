/**
 * A load generator that knows MQTT bytes and nothing of the server under test: one process, pinned by its caller to a core of its
 * own. Reads one JSON line of options on standard input, writes one JSON line of results. `bench/load/discard-server.ts` shows how
 * fast it can go at best.
 */
import { connect, type TLSSocket } from "node:tls";

export type GeneratorOptions = {
  port: number;
  ca: string;
  connections: { clientId: string; username?: string; password?: string; topic: string }[];
  /** Messages in flight per connection. */
  window: number;
  qos: 0 | 1;
  payloadBytes: number;
  warmMs: number;
  measureMs: number;
  /** One more connection that subscribes to this filter and counts what it gets. */
  subscribe?: string;
  /** To read the server's CPU time from /proc. */
  serverPid?: number;
};

export type GeneratorResult = {
  acknowledgedPerS: number;
  deliveredPerS: number;
  serverCpuUsPerMessage: number | undefined;
  /** Share of one core this process used: near 1 means the generator was the bottleneck. */
  generatorCpu: number;
};

const PUBACK = 0x40;
const CONNACK = 0x20;
const PUBLISH = 0x30;

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function packet(first: number, body: Buffer): Buffer {
  const header = [first];
  let rest = body.length;
  do {
    const digit = rest % 128;
    rest = Math.floor(rest / 128);
    header.push(rest > 0 ? digit | 0x80 : digit);
  } while (rest > 0);
  return Buffer.concat([Buffer.from(header), body]);
}

function connectPacket(clientId: string, username?: string, password?: string): Buffer {
  let flags = 0x02;
  const fields = [text(clientId)];
  if (username !== undefined) {
    flags |= 0x80;
    fields.push(text(username));
  }
  if (password !== undefined) {
    flags |= 0x40;
    fields.push(text(password));
  }
  const head = Buffer.concat([text("MQTT"), Buffer.from([4, flags, 0, 240])]);
  return packet(0x10, Buffer.concat([head, ...fields]));
}

/** Walks whole packets over arbitrary chunks and counts those of one type. */
class PacketCounter {
  #carry: Buffer = Buffer.alloc(0);
  #skip = 0;

  /** How many packets of `type` (upper four bits) begin in this chunk. */
  count(chunk: Buffer, type: number): number {
    let at = 0;
    let found = 0;
    let bytes = chunk;
    if (this.#skip > 0) {
      at = Math.min(this.#skip, bytes.length);
      this.#skip -= at;
    }
    if (this.#carry.length > 0) {
      bytes = Buffer.concat([this.#carry, bytes.subarray(at)]);
      this.#carry = Buffer.alloc(0);
      at = 0;
    }
    while (at < bytes.length) {
      let length = 0;
      let shift = 0;
      let index = at + 1;
      let digit = 0x80;
      while (index < bytes.length && (digit & 0x80) !== 0) {
        digit = bytes[index] ?? 0;
        length += (digit & 0x7f) << shift;
        shift += 7;
        index += 1;
      }
      if ((digit & 0x80) !== 0) {
        this.#carry = bytes.subarray(at);
        return found;
      }
      if (((bytes[at] ?? 0) & 0xf0) === type) found += 1;
      const end = index + length;
      if (end > bytes.length) {
        this.#skip = end - bytes.length;
        return found;
      }
      at = end;
    }
    return found;
  }
}

let acknowledged = 0;
let delivered = 0;

class Publisher {
  readonly #socket: TLSSocket;
  readonly #template: Buffer;
  readonly #idOffset: number;
  readonly #window: number;
  readonly #qos: 0 | 1;
  readonly #counter = new PacketCounter();
  #nextId = 1;
  #open = false;
  onOpen: () => void = () => {};

  constructor(options: GeneratorOptions, index: number, tls: { ca: string }) {
    const connection = options.connections[index];
    if (connection === undefined) throw new Error("no such connection");
    this.#window = options.window;
    this.#qos = options.qos;
    const topic = text(connection.topic);
    const id = options.qos === 1 ? Buffer.alloc(2) : Buffer.alloc(0);
    const body = Buffer.concat([topic, id, Buffer.alloc(options.payloadBytes, 0x61)]);
    this.#template = packet(options.qos === 1 ? 0x32 : 0x30, body);
    this.#idOffset = this.#template.length - body.length + topic.length;
    this.#socket = connect({ host: "localhost", port: options.port, ca: tls.ca });
    this.#socket.setNoDelay(true);
    this.#socket.on("secureConnect", () => {
      const { clientId, username, password } = connection;
      this.#socket.write(connectPacket(clientId, username, password));
    });
    this.#socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    this.#socket.on("error", (error) => fail(`connection ${index}: ${error.message}`));
    this.#socket.on("close", () => fail(`connection ${index} was closed by the server`));
  }

  start(): void {
    if (this.#qos === 1) this.#send(this.#window);
    else this.#flood();
  }

  #onData(chunk: Buffer): void {
    if (!this.#open) {
      if (chunk[0] !== CONNACK || chunk[3] !== 0) fail(`CONNECT refused with ${chunk[3]}`);
      this.#open = true;
      this.onOpen();
      return;
    }
    const count = this.#counter.count(chunk, PUBACK);
    acknowledged += count;
    if (count > 0) this.#send(count);
  }

  #flood(): void {
    let room = true;
    while (room) {
      room = this.#send(64);
      acknowledged += 64;
    }
    this.#socket.once("drain", () => setImmediate(() => this.#flood()));
  }

  #send(count: number): boolean {
    const size = this.#template.length;
    const bytes = Buffer.allocUnsafe(size * count);
    for (let index = 0; index < count; index += 1) {
      this.#template.copy(bytes, index * size);
      if (this.#qos === 1) {
        const id = this.#nextId;
        bytes[index * size + this.#idOffset] = id >> 8;
        bytes[index * size + this.#idOffset + 1] = id & 0xff;
        this.#nextId = id === 65_535 ? 1 : id + 1;
      }
    }
    return this.#socket.write(bytes);
  }
}

function subscriber(options: GeneratorOptions, filter: string): Promise<void> {
  const counter = new PacketCounter();
  const socket = connect({ host: "localhost", port: options.port, ca: options.ca });
  socket.setNoDelay(true);
  return new Promise((resolve) => {
    let step = 0;
    socket.on("secureConnect", () => socket.write(connectPacket("subscriber")));
    socket.on("error", (error) => fail(`subscriber: ${error.message}`));
    socket.on("data", (chunk: Buffer) => {
      if (step === 0) {
        step = 1;
        const body = Buffer.concat([Buffer.from([0, 1]), text(filter), Buffer.from([0])]);
        socket.write(packet(0x82, body));
      } else if (step === 1) {
        step = 2;
        resolve();
      } else {
        delivered += counter.count(chunk, PUBLISH);
      }
    });
  });
}

function fail(reason: string): never {
  process.stderr.write(`generator: ${reason}\n`);
  process.exit(1);
}

async function serverCpuMs(pid: number | undefined): Promise<number | undefined> {
  if (pid === undefined) return undefined;
  const { readFileSync } = await import("node:fs");
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  // utime and stime, in clock ticks of 10 ms.
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function main(): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const options = JSON.parse(Buffer.concat(chunks).toString("utf8")) as GeneratorOptions;
  if (options.subscribe !== undefined) await subscriber(options, options.subscribe);
  const publishers: Publisher[] = [];
  for (let index = 0; index < options.connections.length; index += 1) {
    const publisher = new Publisher(options, index, { ca: options.ca });
    await new Promise<void>((resolve) => {
      publisher.onOpen = resolve;
    });
    publishers.push(publisher);
  }
  for (const publisher of publishers) publisher.start();
  await sleep(options.warmMs);
  const before = { acknowledged, delivered, cpu: process.cpuUsage(), at: performance.now() };
  const serverBefore = await serverCpuMs(options.serverPid);
  await sleep(options.measureMs);
  const elapsedS = (performance.now() - before.at) / 1000;
  const cpu = process.cpuUsage(before.cpu);
  const serverAfter = await serverCpuMs(options.serverPid);
  const messages = acknowledged - before.acknowledged;
  const result: GeneratorResult = {
    acknowledgedPerS: messages / elapsedS,
    deliveredPerS: (delivered - before.delivered) / elapsedS,
    serverCpuUsPerMessage:
      serverBefore === undefined || serverAfter === undefined
        ? undefined
        : ((serverAfter - serverBefore) * 1000) / messages,
    generatorCpu: (cpu.user + cpu.system) / 1e6 / elapsedS,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exit(0);
}

await main();
