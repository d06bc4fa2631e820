import type { DeliveryHint } from "./c2d-message.ts";

/** Message ids remembered: twenty times what IoT Hub queues for one device. */
const rememberedMax = 1_000;

type Remembered = { count: number; completed: boolean };

/**
 * Which messages came before and which of them were completed, by message id. MQTT gives no delivery count, and a message
 * whose PUBACK was lost comes again under any packet identifier.
 */
export class DeliveryMemory {
  /** Those heard of last are last. */
  readonly #byId = new Map<string, Remembered>();

  /** @param dup the packet's DUP flag: the hub sent it before, perhaps to an earlier run of this program */
  delivered(id: string | undefined, dup: boolean): DeliveryHint {
    if (id === undefined) return { count: dup ? 2 : 1, redelivered: dup, duplicate: false };
    const before = this.#byId.get(id);
    const count = before === undefined ? (dup ? 2 : 1) : before.count + 1;
    const completed = before?.completed ?? false;
    this.#remember(id, { count, completed });
    return { count, redelivered: dup || count > 1, duplicate: completed };
  }

  completed(id: string | undefined): void {
    if (id === undefined) return;
    this.#remember(id, { count: this.#byId.get(id)?.count ?? 1, completed: true });
  }

  #remember(id: string, what: Remembered): void {
    this.#byId.delete(id);
    this.#byId.set(id, what);
    if (this.#byId.size <= rememberedMax) return;
    for (const oldest of this.#byId.keys()) {
      this.#byId.delete(oldest);
      return;
    }
  }
}
