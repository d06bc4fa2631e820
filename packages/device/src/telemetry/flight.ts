import { Deque } from "./deque.ts";
import { settledSlack } from "./lane.ts";
import type { Outgoing } from "./outgoing.ts";

/**
 * Bytes of QoS 1 messages with the session: all of them are sent again at once when a connection begins, and the driver
 * takes a connection for dead that has eight megabytes to send.
 */
const windowBytesMax = 4 * 1024 * 1024;

/** QoS 1 messages with the session, in the order they were given to it. */
export class Flight {
  readonly messages = new Deque<Outgoing>();
  /** Payload bytes of those not settled. */
  #bytes = 0;
  #live = 0;

  /** Not settled. */
  get count(): number {
    return this.#live;
  }

  hasRoomFor(payloadBytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + payloadBytes <= windowBytesMax;
  }

  push(message: Outgoing): void {
    this.messages.push(message);
    this.#bytes += message.payload.length;
    this.#live += 1;
  }

  /** PUBACKs come in order almost always, so the search ends at the first. */
  find(packetId: number): Outgoing | undefined {
    const { messages } = this;
    for (let i = 0; i < messages.length; i++) {
      const message = messages.at(i);
      if (message.packetId === packetId && message.state === "sent") return message;
    }
    return undefined;
  }

  /** The first that is not settled. */
  oldest(): Outgoing | undefined {
    this.trim();
    return this.messages.length > 0 ? this.messages.at(0) : undefined;
  }

  /** Call it while the message still has its payload; its state changes next. */
  settled(message: Outgoing): void {
    this.#bytes -= message.payload.length;
    this.#live -= 1;
  }

  /** Lets go of all that are not settled; in the order they were given to the session. */
  takeBack(): Outgoing[] {
    const taken: Outgoing[] = [];
    this.messages.filter((message) => {
      if (message.state !== "settled") taken.push(message);
      return false;
    });
    this.#bytes = 0;
    this.#live = 0;
    return taken;
  }

  trim(): void {
    const { messages } = this;
    while (messages.length > 0 && messages.at(0).state === "settled") messages.shift();
    if (messages.length <= 2 * this.#live + settledSlack) return;
    messages.filter(({ state }) => state !== "settled");
  }
}
