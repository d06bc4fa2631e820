import type { ByteStream, StreamHandler } from "@hubwire/transport";

/** One MQTT packet as bytes, with its first byte taken apart. */
export type WirePacket = {
  type: number;
  flags: number;
  packetId: number | undefined;
  bytes: Uint8Array;
};

/** Cuts a stream of bytes into packets; the simulation's own, so that the codec under test does not judge itself. */
export class PacketCutter {
  #carry: Buffer = Buffer.alloc(0);

  cut(bytes: Uint8Array): WirePacket[] {
    const data = Buffer.concat([this.#carry, bytes]);
    const packets: WirePacket[] = [];
    let at = 0;
    for (;;) {
      let index = at + 1;
      let length = 0;
      let shift = 0;
      let digit = 0x80;
      while (index < data.length && (digit & 0x80) !== 0) {
        digit = data[index] ?? 0;
        length += (digit & 0x7f) * 2 ** shift;
        shift += 7;
        index += 1;
      }
      if ((digit & 0x80) !== 0 || index + length > data.length) break;
      const first = data[at] ?? 0;
      packets.push({
        type: first >> 4,
        flags: first & 0x0f,
        packetId: packetIdOf(first, data, index),
        bytes: data.subarray(at, index + length),
      });
      at = index + length;
    }
    this.#carry = data.subarray(at);
    return packets;
  }
}

function packetIdOf(first: number, data: Buffer, start: number): number | undefined {
  const type = first >> 4;
  if (type === 3 && (first & 6) !== 0) {
    return data.readUInt16BE(start + 2 + data.readUInt16BE(start));
  }
  return type === 4 || (type >= 8 && type <= 11) ? data.readUInt16BE(start) : undefined;
}

export const PacketKind = { publish: 3, puback: 4 } as const;

/** What a tap does with the packets of one direction: let through, drop, reorder. Whole packets come out. */
export type Transform = (packets: WirePacket[]) => WirePacket[];

/** A stream whose packets pass through two functions on the way. */
export function tap(
  inner: ByteStream,
  options: { outgoing?: Transform; incoming?: Transform },
): ByteStream {
  const outgoing = new PacketCutter();
  const incoming = new PacketCutter();
  const through = (cutter: PacketCutter, transform: Transform, bytes: Uint8Array): Uint8Array =>
    Buffer.concat(transform(cutter.cut(bytes)).map((packet) => packet.bytes));
  return {
    peer: inner.peer,
    get bufferedBytes() {
      return inner.bufferedBytes;
    },
    start(handler: StreamHandler) {
      inner.start({
        onBytes(bytes) {
          const passed =
            options.incoming === undefined ? bytes : through(incoming, options.incoming, bytes);
          if (passed.length > 0) handler.onBytes(passed);
        },
        onDrain: () => handler.onDrain(),
        onClosed: (error) => handler.onClosed(error),
      });
    },
    write(bytes) {
      const passed =
        options.outgoing === undefined ? bytes : through(outgoing, options.outgoing, bytes);
      return passed.length === 0 ? true : inner.write(passed);
    },
    pause: () => inner.pause(),
    resume: () => inner.resume(),
    end: () => inner.end(),
    destroy: () => inner.destroy(),
  };
}

/** Watches a client's end: PUBACKs come in the order of the PUBLISHes they answer [MQTT-4.6.0-2]. */
export function watchPubackOrder(
  inner: ByteStream,
  report: (sentence: string) => void,
): ByteStream {
  const open: number[] = [];
  return tap(inner, {
    outgoing: (packets) => {
      for (const { type, packetId } of packets) {
        if (type === PacketKind.publish && packetId !== undefined) open.push(packetId);
      }
      return packets;
    },
    incoming: (packets) => {
      for (const { type, packetId } of packets) {
        if (type !== PacketKind.puback) continue;
        const expected = open.shift();
        if (expected !== packetId) {
          report(`PUBACK ${packetId} came where ${expected} was due`);
        }
      }
      return packets;
    },
  });
}
