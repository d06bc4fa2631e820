import type { ByteStream, StreamHandler } from "@hubwire/transport";
import mqttPacket from "mqtt-packet";
import type { Packet } from "mqtt-packet";
import { expect } from "vitest";

/** The far end of a connection: sends packets (or any bytes) and keeps what comes back, in order. */
export class RawClient implements StreamHandler {
  readonly received: Packet[] = [];
  /** Writes as they came, to count them. */
  readonly chunks: Uint8Array[] = [];
  isClosed = false;
  readonly #stream: ByteStream;
  readonly #parser = mqttPacket.parser({ protocolVersion: 4 });
  readonly #settle: () => Promise<void>;

  constructor(stream: ByteStream, settle: () => Promise<void>) {
    this.#stream = stream;
    this.#settle = settle;
    this.#parser.on("packet", (packet: Packet) => this.received.push(packet));
    stream.start(this);
  }

  onBytes(bytes: Uint8Array): void {
    this.chunks.push(bytes);
    this.#parser.parse(Buffer.from(bytes));
  }
  onDrain(): void {}
  onClosed(): void {
    this.isClosed = true;
  }

  /** Sends without letting anything happen yet. */
  write(...packets: (Packet | Uint8Array)[]): void {
    const bytes = packets.map((packet) =>
      packet instanceof Uint8Array ? packet : mqttPacket.generate(packet),
    );
    this.#stream.write(Buffer.concat(bytes));
  }

  /** Sends, and lets everything happen that follows. */
  async send(...packets: (Packet | Uint8Array)[]): Promise<void> {
    this.write(...packets);
    await this.#settle();
  }

  /** The next packet that came, which must look like this. */
  expect(packet: Partial<Packet> & Record<string, unknown>): Packet {
    const next = this.received.shift();
    expect(next ?? "nothing came").toMatchObject(packet);
    return next!;
  }

  expectNothing(): void {
    expect(this.received).toEqual([]);
  }

  expectClosed(): void {
    expect(this.isClosed, "the hub closed the connection").toBe(true);
  }

  expectOpen(): void {
    expect(this.isClosed, "the hub closed the connection").toBe(false);
  }

  /** The network goes away: no DISCONNECT. */
  async cut(): Promise<void> {
    this.destroy();
    await this.#settle();
  }

  /** As `cut`, in the middle of whatever is happening. */
  destroy(): void {
    this.#stream.destroy();
  }

  async disconnect(): Promise<void> {
    this.write({ cmd: "disconnect" });
    await this.#settle();
  }

  pause(): void {
    this.#stream.pause();
  }
  resume(): void {
    this.#stream.resume();
  }
}
