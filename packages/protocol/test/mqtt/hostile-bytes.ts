/** Byte streams for fuzzing: valid packets, damaged a little, and noise that looks like packets. */
import fc from "fast-check";
import { anyPacket } from "./arbitraries.ts";
import { encodePacket } from "./packets.ts";
import type { Random } from "./random.ts";

const edges = [0, 1, 2, 3, 4, 0x23, 0x2b, 0x2f, 0x7f, 0x80, 0xc0, 0xc1, 0xed, 0xf4, 0xff];
const headers = [0x10, 0x20, 0x30, 0x32, 0x3a, 0x40, 0x82, 0x90, 0xa2, 0xb0, 0xc0, 0xd0, 0xe0];

const seeds = (seed: number): number[][] =>
  fc
    .sample(anyPacket, { seed, numRuns: 400 })
    .map((packet) => Array.from(encodePacket(packet)))
    .filter((bytes) => bytes.length < 200);

function damage(random: Random, bytes: number[]): void {
  const at = random.below(bytes.length);
  const value = random.chance(50) ? random.pick(edges) : random.below(256);
  switch (random.below(5)) {
    case 0:
      bytes[at] = value;
      break;
    case 1:
      bytes[at]! ^= 1 << random.below(8);
      break;
    case 2:
      bytes.splice(at, 0, value);
      break;
    case 3:
      bytes.splice(at, 1 + random.below(3));
      break;
    case 4:
      bytes.length = at + 1;
      break;
  }
}

/** Makes the remaining length true again, so that the damage is met inside the packet. */
function repairLength(bytes: number[]): void {
  if (bytes.length < 2) return;
  let behind = 1;
  while (behind < 4 && bytes[behind]! >= 0x80) behind++;
  const body = bytes.slice(behind + 1);
  const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
  bytes.splice(1, bytes.length - 1, ...length, ...body);
}

/** A source of inputs of one to three packets each. */
export function hostileBytes(random: Random): () => Uint8Array {
  const valid = seeds(random.below(2 ** 31));
  const one = (): number[] => {
    if (random.chance(15)) {
      const body = Array.from({ length: random.below(20) }, () =>
        random.chance(60) ? random.pick(edges) : random.below(256),
      );
      return [random.pick(headers), body.length, ...body];
    }
    const bytes = random.pick(valid).slice();
    for (let hits = random.below(4); hits > 0 && bytes.length > 0; hits--) damage(random, bytes);
    if (random.chance(70)) repairLength(bytes);
    return bytes;
  };
  return () => {
    const bytes = one();
    while (random.chance(20)) bytes.push(...one());
    return Uint8Array.from(bytes);
  };
}
