import type { ByteStream, Clock, StreamHandler, Timer } from "@hubwire/transport";

/** One MQTT packet as bytes, with its first byte taken apart. */
type WirePacket = {
  type: number;
  flags: number;
  packetId: number | undefined;
  bytes: Uint8Array;
};

/** Cuts a stream of bytes into packets; the simulation's own, so that the codec under test does not judge itself. */
class PacketCutter {
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

export const PacketKind = { connect: 1, connack: 2, publish: 3, puback: 4, subscribe: 8 } as const;

/**
 * What a tap does with the packets of one direction: let through, drop, reorder. Whole packets come out. `reply` gives the
 * tap's owner bytes as if the other side had sent them.
 */
export type Transform = (packets: WirePacket[], reply: (bytes: Uint8Array) => void) => WirePacket[];

/** A stream whose packets pass through two functions on the way. */
export function tap(
  inner: ByteStream,
  options: { outgoing?: Transform; incoming?: Transform; onClosed?: () => void },
): ByteStream {
  const outgoing = new PacketCutter();
  const incoming = new PacketCutter();
  let owner: StreamHandler | undefined;
  let closed = false;
  const reply = (bytes: Uint8Array): void =>
    queueMicrotask(() => {
      if (!closed) owner?.onBytes(bytes);
    });
  const through = (cutter: PacketCutter, transform: Transform, bytes: Uint8Array): Uint8Array =>
    Buffer.concat(transform(cutter.cut(bytes), reply).map((packet) => packet.bytes));
  return {
    peer: inner.peer,
    get bufferedBytes() {
      return inner.bufferedBytes;
    },
    start(handler: StreamHandler) {
      owner = handler;
      inner.start({
        onBytes(bytes) {
          const passed =
            options.incoming === undefined ? bytes : through(incoming, options.incoming, bytes);
          if (passed.length > 0) handler.onBytes(passed);
        },
        onDrain: () => handler.onDrain(),
        onClosed(error) {
          closed = true;
          options.onClosed?.();
          handler.onClosed(error);
        },
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

/**
 * A client that does not repeat its SUBSCRIBE on a session the hub says it kept, as azure-iot-device 1.18 does with twin topics.
 * Its library is told that all went well.
 */
export function subscribeOnce(inner: ByteStream): ByteStream {
  let sessionPresent = false;
  return tap(inner, {
    incoming: (packets) => {
      for (const { type, bytes } of packets) {
        if (type === PacketKind.connack) sessionPresent = bytes[2] === 1;
      }
      return packets;
    },
    outgoing: (packets, reply) =>
      packets.filter(({ type, packetId = 0, bytes }) => {
        if (type !== PacketKind.subscribe || !sessionPresent) return true;
        reply(
          Uint8Array.from([
            0x90,
            2 + grantsOf(bytes).length,
            packetId >> 8,
            packetId & 255,
            ...grantsOf(bytes),
          ]),
        );
        return false;
      }),
  });
}

/** The QoS asked for by each filter of a SUBSCRIBE (short ones: one length byte). */
function grantsOf(bytes: Uint8Array): number[] {
  const view = Buffer.from(bytes);
  const grants: number[] = [];
  let at = (view[1] ?? 0) & 0x80 ? 5 : 4;
  while (at + 2 < view.length) {
    at += 2 + view.readUInt16BE(at);
    grants.push(view[at] ?? 0);
    at += 1;
  }
  return grants;
}

const connackWithinMs = 10_000;

/** Watches the hub's end: every CONNECT is answered, or its connection closed, soon; also when it takes over from another. */
export function watchConnack(
  inner: ByteStream,
  clock: Clock,
  report: (sentence: string) => void,
): ByteStream {
  let due: Timer | undefined;
  const stream = tap(inner, {
    incoming: (packets) => {
      if (packets.some(({ type }) => type === PacketKind.connect)) {
        due = clock.at(clock.nowMs() + connackWithinMs, () =>
          report(`a CONNECT from ${inner.peer.address} was not answered in ${connackWithinMs} ms`),
        );
      }
      return packets;
    },
    outgoing: (packets) => {
      if (packets.some(({ type }) => type === PacketKind.connack)) due?.cancel();
      return packets;
    },
    onClosed: () => due?.cancel(),
  });
  return stream;
}
