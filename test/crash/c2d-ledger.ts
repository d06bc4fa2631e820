import type { Promises } from "./promises.ts";

type Sent = {
  id: string;
  /** Open: its 201 never came, so it may or may not be there. */
  state: "open" | "accepted";
  isAcked: boolean;
  /** The hub said, by its count, that it is gone. */
  isCompleted: boolean;
  /** The life of the hub in which it was last delivered. */
  deliveredIn: number;
};

/** Cloud-to-device messages of one device, in the order they were sent, one at a time. */
export class C2dLedger {
  readonly #promises: Promises;
  readonly #device: string;
  readonly #sent: Sent[] = [];
  readonly #indexes = new Map<string, number>();
  #life = 0;
  /** Place of the newest first delivery in this life. */
  #newest = -1;

  constructor(promises: Promises, device: string) {
    this.#promises = promises;
    this.#device = device;
  }

  lifeBegins(): void {
    this.#life += 1;
    this.#newest = -1;
  }

  /** Names the next message. */
  next(): string {
    const id = `${this.#device}:${this.#sent.length}`;
    this.#indexes.set(id, this.#sent.length);
    this.#sent.push({
      id,
      state: "open",
      isAcked: false,
      isCompleted: false,
      deliveredIn: 0,
    });
    return id;
  }

  accepted(id: string): void {
    const sent = this.#find(id);
    if (sent !== undefined) sent.state = "accepted";
  }

  /** Returns whether its PUBACK was given already, in vain: then it is given again. */
  received(id: string): boolean {
    const sent = this.#find(id);
    if (sent === undefined) {
      this.#promises.broke(`${this.#device} was sent ${id}, which nobody sent`);
      return true;
    }
    if (sent.isCompleted) this.#promises.broke(`${id} was completed and came again`);
    sent.state = "accepted";
    const index = this.#indexes.get(id) ?? 0;
    // A repetition may come at any time; everything else comes in the order of the queue.
    if (sent.deliveredIn !== this.#life) {
      if (index < this.#newest) this.#promises.broke(`${id} came behind a newer message`);
      this.#newest = index;
    }
    sent.deliveredIn = this.#life;
    return sent.isAcked;
  }

  acked(id: string): void {
    const sent = this.#find(id);
    if (sent !== undefined) sent.isAcked = true;
  }

  /** The hub counts so many messages in the queue, while nothing is being sent: perhaps that settles it for all acked ones. */
  counted(count: number): boolean {
    const waiting = this.#sent.filter(({ state, isAcked }) => state === "accepted" && !isAcked);
    if (count < waiting.length) {
      this.#promises.broke(
        `the queue of ${this.#device} has ${count} messages, and ${waiting.length} were accepted and not completed`,
      );
    }
    if (count !== waiting.length) return false;
    for (const sent of this.#sent) {
      // What was never answered and is not in the queue never got there.
      if (sent.isAcked || sent.state === "open") sent.isCompleted = true;
    }
    return true;
  }

  /** Accepted, not acknowledged by the device, and not delivered since the hub started: each must still come. */
  get due(): string[] {
    return this.#sent
      .filter(
        ({ state, isAcked, deliveredIn }) =>
          state === "accepted" && !isAcked && deliveredIn !== this.#life,
      )
      .map(({ id }) => id);
  }

  /** At most so many are in the queue. */
  get outstanding(): number {
    return this.#sent.filter(({ isCompleted }) => !isCompleted).length;
  }

  #find(id: string): Sent | undefined {
    return this.#sent[this.#indexes.get(id) ?? -1];
  }
}
