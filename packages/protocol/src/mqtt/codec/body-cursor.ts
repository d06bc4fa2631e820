import { decodeUtf8 } from "./utf8.ts";
import { Violation } from "./violation.ts";

const EMPTY = new Uint8Array(0);

/**
 * Reads the fields of one packet body in order (all packets but PUBLISH, which is read by offsets). The first violation
 * sticks: from then on reads return nothing of value and the caller looks once, at the end.
 */
export class BodyCursor {
  violation: Violation | undefined;
  readonly #packet: string;
  readonly #bytes: Uint8Array;
  #position: number;
  readonly #end: number;

  constructor(packet: string, bytes: Uint8Array, start: number, end: number) {
    this.#packet = packet;
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
  }

  /** Whether there is something left to read. */
  get more(): boolean {
    return this.violation === undefined && this.#position < this.#end;
  }

  fail(violation: Violation): void {
    this.violation ??= violation;
  }

  #take(count: number, field: string): number {
    const at = this.#position;
    if (this.violation !== undefined) return -1;
    if (at + count > this.#end) {
      const reason = `${this.#packet}: ${field} runs past the end of the packet`;
      this.fail(new Violation("mqtt.packet_truncated", reason));
      return -1;
    }
    this.#position = at + count;
    return at;
  }

  uint8(field: string): number {
    const at = this.#take(1, field);
    return at < 0 ? 0 : this.#bytes[at]!;
  }

  uint16(field: string): number {
    const at = this.#take(2, field);
    return at < 0 ? 0 : (this.#bytes[at]! << 8) | this.#bytes[at + 1]!;
  }

  packetId(): number {
    const packetId = this.uint16("packet identifier");
    if (packetId === 0) {
      this.fail(new Violation("mqtt.packet_id_zero", `${this.#packet} with packet identifier 0`));
    }
    return packetId;
  }

  string(field: string): string {
    const length = this.uint16(field);
    const at = this.#take(length, field);
    if (at < 0) return "";
    const text = decodeUtf8(this.#bytes, at, at + length);
    if (typeof text === "string") return text;
    this.fail(new Violation(text.code, `${this.#packet}: ${field}: ${text.reason}`));
    return "";
  }

  /** A copy: these fields outlive the chunk. */
  binary(field: string): Uint8Array {
    const length = this.uint16(field);
    const at = this.#take(length, field);
    return at < 0 ? EMPTY : this.#bytes.slice(at, at + length);
  }

  /** Call last: bytes behind the last field are a violation. */
  finish(): void {
    if (!this.more) return;
    const reason = `${this.#packet} with ${this.#end - this.#position} bytes behind its last field`;
    this.fail(new Violation("mqtt.packet_trailing_bytes", reason));
  }
}
