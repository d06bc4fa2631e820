import type { LiveConnection, SubscriptionKind } from "../../domain/services.ts";

/**
 * The connection as the twins see it for one QoS 1 request: the answer is also the moment to acknowledge, because only
 * then the report is stored. It therefore wants the answer even if the device has not subscribed to answers.
 */
export class AcknowledgedRequest implements LiveConnection {
  readonly #connection: LiveConnection;
  readonly #acknowledge: () => void;

  constructor(connection: LiveConnection, acknowledge: () => void) {
    this.#connection = connection;
    this.#acknowledge = acknowledge;
  }

  get ref() {
    return this.#connection.ref;
  }
  get generationId(): string {
    return this.#connection.generationId;
  }
  get connectionId(): number {
    return this.#connection.connectionId;
  }

  isSubscribed(kind: SubscriptionKind): boolean {
    return kind === "twinResponses" || this.#connection.isSubscribed(kind);
  }

  sendMethod: LiveConnection["sendMethod"] = (...call) => this.#connection.sendMethod(...call);

  sendTwinResponse: LiveConnection["sendTwinResponse"] = (...answer) => {
    this.#connection.sendTwinResponse(...answer);
    this.#acknowledge();
  };

  sendDesired: LiveConnection["sendDesired"] = (...news) => this.#connection.sendDesired(...news);

  close: LiveConnection["close"] = (...cause) => this.#connection.close(...cause);
}
