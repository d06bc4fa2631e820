import type { CloseEffect, Session } from "@hubwire/protocol";

export type ScriptedEffect =
  | { type: "got"; text: string }
  | { type: "tick"; atMs: number }
  | CloseEffect;

const nothing: readonly ScriptedEffect[] = Object.freeze([]);

/** A session that does what its test says: echoes, keeps receipts open, asks for ticks. */
export class ScriptedSession implements Session<ScriptedEffect> {
  deadlineMs = Infinity;
  openReceipts = 0;
  /** Called by `receive` before it answers. */
  onReceive: (text: string) => void = () => undefined;
  onTick: (nowMs: number) => readonly ScriptedEffect[] = () => nothing;
  /** What a chunk with this text closes the session with. */
  closeOn = "close";
  #output: Uint8Array[] = [];

  receive(bytes: Uint8Array): readonly ScriptedEffect[] {
    const text = Buffer.from(bytes).toString();
    this.onReceive(text);
    if (text === "") return nothing;
    if (text !== this.closeOn) return [{ type: "got", text }];
    return [
      { type: "got", text },
      { type: "close", code: "mqtt.disconnected", reason: "asked to" },
    ];
  }

  tick(nowMs: number): readonly ScriptedEffect[] {
    return this.onTick(nowMs);
  }

  say(what: string | Uint8Array): void {
    this.#output.push(typeof what === "string" ? Buffer.from(what) : what);
  }

  get hasOutput(): boolean {
    return this.#output.length > 0;
  }

  takeOutput(): Uint8Array | undefined {
    if (this.#output.length === 0) return undefined;
    const bytes = Buffer.concat(this.#output);
    this.#output = [];
    return bytes;
  }
}
