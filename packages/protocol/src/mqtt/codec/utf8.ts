import { Violation } from "./violation.ts";

const notUtf8 = new Violation("mqtt.string_not_utf8", "a string is not well-formed UTF-8");
const nullCharacter = new Violation("mqtt.string_null", "a string contains U+0000");

/** Arguments per `String.fromCharCode` call: well under every engine's limit. */
const UNITS_PER_CALL = 4096;

function fromUnits(units: Uint8Array | Uint16Array): string {
  // `apply` takes any array-like; the library's type only says arrays.
  const apply = (part: Uint8Array | Uint16Array) =>
    String.fromCharCode.apply(null, part as unknown as number[]);
  if (units.length <= UNITS_PER_CALL) return apply(units);
  let text = "";
  for (let i = 0; i < units.length; i += UNITS_PER_CALL) {
    text += apply(units.subarray(i, i + UNITS_PER_CALL));
  }
  return text;
}

/**
 * Decodes strictly, as MQTT demands: overlong forms, surrogates, values above U+10FFFF and U+0000 are violations
 * [MQTT-1.5.3-1] [MQTT-1.5.3-2]; a byte order mark is an ordinary character [MQTT-1.5.3-3].
 */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string | Violation {
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === 0) return nullCharacter;
    if (byte >= 0x80) return decodeWide(bytes, start, end);
  }
  return fromUnits(bytes.subarray(start, end));
}

function decodeWide(bytes: Uint8Array, start: number, end: number): string | Violation {
  const units = new Uint16Array(end - start);
  let length = 0;
  let i = start;
  while (i < end) {
    const lead = bytes[i++]!;
    if (lead < 0x80) {
      if (lead === 0) return nullCharacter;
      units[length++] = lead;
      continue;
    }
    const more = lead < 0xc2 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : 0;
    if (more === 0 || i + more > end) return notUtf8;
    let point = lead & (0x3f >> more);
    for (let k = 0; k < more; k++) {
      const next = bytes[i++]!;
      if ((next & 0xc0) !== 0x80) return notUtf8;
      point = (point << 6) | (next & 0x3f);
    }
    if (more === 2 && (point < 0x800 || (point >= 0xd800 && point <= 0xdfff))) return notUtf8;
    if (more === 3 && (point < 0x10000 || point > 0x10ffff)) return notUtf8;
    if (point < 0x10000) {
      units[length++] = point;
    } else {
      units[length++] = 0xd7c0 + (point >> 10);
      units[length++] = 0xdc00 | (point & 0x3ff);
    }
  }
  return fromUnits(units.subarray(0, length));
}

/** Bytes `text` takes in UTF-8, or -1 if MQTT cannot carry it: a lone surrogate or U+0000. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) {
      if (unit === 0) return -1;
    } else if (unit < 0x800) {
      length += 1;
    } else if (unit < 0xd800 || unit > 0xdfff) {
      length += 2;
    } else {
      const low = i + 1 < text.length ? text.charCodeAt(i + 1) : 0;
      if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) return -1;
      length += 2;
      i++;
    }
  }
  return length;
}

/** Writes `text`, which `utf8Length` has measured, at `at`; returns the position behind it. */
export function writeUtf8(bytes: Uint8Array, at: number, text: string): number {
  let p = at;
  for (let i = 0; i < text.length; i++) {
    let point = text.charCodeAt(i);
    if (point < 0x80) {
      bytes[p++] = point;
      continue;
    }
    if (point < 0x800) {
      bytes[p++] = 0xc0 | (point >> 6);
    } else {
      if (point >= 0xd800 && point <= 0xdfff) {
        point = ((point - 0xd7c0) << 10) | (text.charCodeAt(++i) & 0x3ff);
        bytes[p++] = 0xf0 | (point >> 18);
        bytes[p++] = 0x80 | ((point >> 12) & 0x3f);
      } else {
        bytes[p++] = 0xe0 | (point >> 12);
      }
      bytes[p++] = 0x80 | ((point >> 6) & 0x3f);
    }
    bytes[p++] = 0x80 | (point & 0x3f);
  }
  return p;
}
