import { invalid } from "../calls/errors.ts";
import type { C2dHandler, C2dMessage } from "./c2d-message.ts";

/** Which messages a handler takes; without it all that no other handler takes. */
export type MessageFilter<Message extends C2dMessage = C2dMessage> = (message: Message) => boolean;

type Entry<Message extends C2dMessage> = {
  readonly handler: C2dHandler<Message>;
  readonly filter: MessageFilter<Message> | undefined;
};

/** Handlers of messages: those with a filter are asked in the order they came, the one without takes the rest. */
export class Handlers<Message extends C2dMessage> {
  readonly #what: string;
  readonly #onError: (error: unknown, where: string) => void;
  readonly #filtered: Entry<Message>[] = [];
  #rest: Entry<Message> | undefined;

  constructor(what: string, onError: (error: unknown, where: string) => void) {
    this.#what = what;
    this.#onError = onError;
  }

  /** Whether a handler takes whatever no other takes: nothing is left for loops. */
  get takesAll(): boolean {
    return this.#rest !== undefined;
  }

  /** @returns takes the handler away again */
  add(handler: C2dHandler<Message>, filter: MessageFilter<Message> | undefined): () => void {
    if (typeof handler !== "function") throw invalid(`${this.#what} takes a function`);
    const entry = { handler, filter };
    if (filter === undefined) {
      if (this.#rest !== undefined)
        throw invalid(`${this.#what} without filter has a handler already`);
      this.#rest = entry;
    } else if (typeof filter !== "function") {
      throw invalid(`The filter of ${this.#what} is no function`);
    } else this.#filtered.push(entry);
    return () => {
      if (this.#rest === entry) this.#rest = undefined;
      const at = this.#filtered.indexOf(entry);
      if (at >= 0) this.#filtered.splice(at, 1);
    };
  }

  for(message: Message): C2dHandler<Message> | undefined {
    for (const { handler, filter } of this.#filtered) {
      try {
        if (filter?.(message) === true) return handler;
      } catch (error) {
        // A filter that fails has not said yes.
        this.#onError(error, `${this.#what} filter`);
      }
    }
    return this.#rest?.handler;
  }
}
