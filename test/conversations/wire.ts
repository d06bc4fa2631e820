import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import mqttPacket, { type Packet } from "mqtt-packet";
import { expect } from "vitest";
import { openTls, type WireOptions } from "../support/wire-client.ts";

export type Said = string | Uint8Array | Packet;

export type Publish = {
  /** The first byte: type, DUP, QoS, RETAIN. */
  header: number;
  topic: string;
  id: number | undefined;
  body: string;
};

const bytesOf = (said: Said): Uint8Array => {
  if (typeof said === "string") return Buffer.from(said.replaceAll(" ", ""), "hex");
  return said instanceof Uint8Array ? said : mqttPacket.generate(said);
};
const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString("hex")
    .replaceAll(/..(?=.)/g, "$& ");

/** One end of a conversation over real TLS, byte for byte: what it hears must be exactly what it says here, nothing before, nothing between. */
export class Wire {
  readonly socket: TLSSocket;
  readonly #tcp: Socket;
  #heard: Buffer = Buffer.alloc(0);
  #end: "end" | "reset" | undefined;
  #sawEnd = false;
  #sawReset = false;
  #wake: (() => void) | undefined;

  private constructor(socket: TLSSocket, tcp: Socket) {
    this.socket = socket;
    this.#tcp = tcp;
    socket.on("data", (bytes: Buffer) => {
      this.#heard = Buffer.concat([this.#heard, bytes]);
      this.#wake?.();
    });
    socket.on("end", () => (this.#sawEnd = true));
    for (const each of [socket, tcp]) each.on("error", () => (this.#sawReset = true));
    socket.on("close", () => {
      this.#end = this.#sawEnd && !this.#sawReset ? "end" : "reset";
      this.#wake?.();
    });
  }

  static async open(options: WireOptions): Promise<Wire> {
    const { socket, tcp } = await openTls(options);
    return new Wire(socket, tcp);
  }

  /** Hex, bytes or packets, in one write. */
  say(...said: Said[]): void {
    this.socket.write(Buffer.concat(said.map(bytesOf)));
  }

  /** Says this, and a moment later knows whether the other side still takes anything. */
  async taken(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      this.socket.write(bytes, (error) => (error ? reject(error) : resolve())),
    );
    await sleep(2);
  }

  async hear(wanted: string): Promise<void> {
    const length = wanted.replaceAll(" ", "").length / 2;
    expect(hex(await this.#take(length))).toBe(wanted);
  }

  /** Whatever PUBLISH comes next. */
  async hearPublish(): Promise<Publish> {
    const header = (await this.#take(1))[0]!;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      // oxlint-disable-next-line no-await-in-loop -- byte after byte
      const byte = (await this.#take(1))[0]!;
      length |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    const packet = await this.#take(length);
    expect(header >> 4, `a PUBLISH, not ${hex(packet)}`).toBe(3);
    const topicEnd = 2 + packet.readUInt16BE(0);
    const bodyStart = topicEnd + ((header & 6) === 0 ? 0 : 2);
    return {
      header,
      topic: packet.toString("utf8", 2, topicEnd),
      id: bodyStart === topicEnd ? undefined : packet.readUInt16BE(topicEnd),
      body: packet.toString("utf8", bodyStart),
    };
  }

  /** Nothing more is on its way: the hub answers a ping with nothing before it. */
  async silence(): Promise<void> {
    this.say("c0 00");
    await this.hear("d0 00");
  }

  /** The hub ended the connection, with TLS's own goodbye, and said nothing before. */
  async hearEnd(): Promise<void> {
    while (this.#end === undefined) await this.#more();
    expect(hex(this.#heard), "nothing before the end").toBe("");
    expect(this.#end).toBe("end");
  }

  /** The network goes away. */
  cut(): void {
    this.#tcp.resetAndDestroy();
  }

  async #take(length: number): Promise<Buffer> {
    while (this.#heard.length < length) {
      if (this.#end !== undefined) {
        throw new Error(
          `closed (${this.#end}) after ${hex(this.#heard)}; ${length} bytes expected`,
        );
      }
      // oxlint-disable-next-line no-await-in-loop -- until there are enough
      await this.#more();
    }
    const taken = this.#heard.subarray(0, length);
    this.#heard = this.#heard.subarray(length);
    return taken;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}
