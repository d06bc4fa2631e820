const EMPTY = new Uint8Array(0);
const ROOM_BYTES_MIN = 64;
const ROOM_BYTES_HINT_MAX = 65_536;

/**
 * Where a session's encoded packets gather until its driver takes them. The memory is given away with the bytes: a
 * connection with nothing to say holds none, and no later packet overwrites what a socket is still sending.
 */
export class OutputBuffer {
  /** Encoders write here, at what `reserve` returned. */
  bytes: Uint8Array = EMPTY;
  length = 0;
  #roomHint = ROOM_BYTES_MIN;

  /** Makes room for `count` more bytes, which the caller then writes; returns where they begin. */
  reserve(count: number): number {
    const at = this.length;
    const length = at + count;
    if (length > this.bytes.length) this.#grow(length);
    this.length = length;
    return at;
  }

  #grow(length: number): void {
    const roomier = new Uint8Array(Math.max(this.#roomHint, length, 2 * this.bytes.length));
    if (this.length > 0) roomier.set(this.bytes.subarray(0, this.length));
    this.bytes = roomier;
  }

  /** Everything since the last call, now the caller's; undefined if nothing. */
  take(): Uint8Array | undefined {
    const length = this.length;
    if (length === 0) return undefined;
    const taken = length === this.bytes.length ? this.bytes : this.bytes.subarray(0, length);
    // The next turn will probably be like this one.
    this.#roomHint = Math.min(ROOM_BYTES_HINT_MAX, Math.max(ROOM_BYTES_MIN, length));
    this.bytes = EMPTY;
    this.length = 0;
    return taken;
  }

  /** Forgets what nobody will send any more. */
  clear(): void {
    this.bytes = EMPTY;
    this.length = 0;
  }
}
