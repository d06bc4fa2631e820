import { setTimeout as sleep } from "node:timers/promises";
import { connect, type DeviceClient, type DeviceStatus } from "@hubwire/device";

/**
 * A well-behaved device that must not notice what others do: it sends one numbered message after another, each when the one before was
 * acknowledged, and writes down every change of its connection.
 */
export class Witness {
  readonly deviceId: string;
  acknowledged = 0;
  /** Every state its connection was in; of an undisturbed one: connecting, connected. */
  readonly states: DeviceStatus["state"][];
  readonly #client: DeviceClient;
  readonly #stopping = new AbortController();
  readonly #sending: Promise<void>;
  #waiting: { at: number; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #failure: unknown;

  private constructor(
    client: DeviceClient,
    deviceId: string,
    states: Witness["states"],
    pauseMs: number,
  ) {
    this.deviceId = deviceId;
    this.states = states;
    this.#client = client;
    this.#sending = this.#send(pauseMs).catch((error: unknown) => {
      this.#failure = error;
      for (const { reject } of this.#waiting) reject(error);
    });
  }

  static async start(options: {
    connectionString: string;
    ca: string;
    /** Between two messages; default 5, so that the tests get a processor too. */
    pauseMs?: number;
  }): Promise<Witness> {
    const { connectionString, ca, pauseMs = 5 } = options;
    const states: Witness["states"] = [];
    const client = await connect({
      connectionString,
      ca,
      onStatus: ({ state }) => void states.push(state),
      methods: { echo: ({ payload }) => ({ status: 200, payload }) },
    });
    const deviceId = /DeviceId=([^;]*)/.exec(connectionString)?.[1] ?? "";
    return new Witness(client, deviceId, states, pauseMs);
  }

  /** Resolves when so many more messages were acknowledged, all of them sent after this call. */
  async beat(messages = 2): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    // The one under way was sent before.
    const at = this.acknowledged + messages + 1;
    await new Promise<void>((resolve, reject) => this.#waiting.push({ at, resolve, reject }));
  }

  /** Stops sending, and says what a device that was not disturbed has seen. */
  async stop(): Promise<{ acknowledged: number; states: string[] }> {
    this.#stopping.abort();
    await this.#sending;
    const states = [...this.states];
    await this.#client.close();
    if (this.#failure !== undefined) throw this.#failure;
    return { acknowledged: this.acknowledged, states };
  }

  async #send(pauseMs: number): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#client.sendTelemetry({ n: this.acknowledged });
      this.acknowledged += 1;
      const due = this.#waiting.filter(({ at }) => at <= this.acknowledged);
      this.#waiting = this.#waiting.filter(({ at }) => at > this.acknowledged);
      for (const { resolve } of due) resolve();
      await sleep(pauseMs);
    }
  }
}
