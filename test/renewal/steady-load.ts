import type { DeviceClient } from "@hubwire/device";
import type { Hub } from "@hubwire/hub";

type Telemetry = Hub["telemetry"];

/** Numbered messages, always so many under way; `pause` may let virtual time pass between them. */
export class SteadyLoad {
  readonly failures: unknown[] = [];
  sent = 0;
  #isRunning = true;
  readonly #senders: Promise<void[]>;

  constructor(client: DeviceClient, inFlight: number) {
    const sender = async (): Promise<void> => {
      while (this.#isRunning) {
        this.sent += 1;
        try {
          await client.sendTelemetry(String(this.sent));
        } catch (error) {
          this.failures.push(error);
          this.#isRunning = false;
        }
      }
    };
    this.#senders = Promise.all(Array.from({ length: inFlight }, sender));
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Resolves when the last message is answered. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#senders;
  }
}

/** Reads the log as it grows: one device's messages, each number in its turn; a repeat of an older one may come at any time. */
export class LogFollower {
  readonly #telemetry: Telemetry;
  readonly #next: number[];
  readonly #stopListening: () => void;
  #reading: Promise<void> | undefined;
  /** The newest number; all before it are there. */
  newest = 0;
  repeats = 0;
  problem: string | undefined;

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry;
    this.#next = Array.from({ length: telemetry.partitionCount }, () => 0);
    this.#stopListening = telemetry.onCommit(() => this.#look());
  }

  /** Reads what is left. */
  async finish(): Promise<void> {
    this.#stopListening();
    await this.#reading;
    await this.#read();
  }

  #look(): void {
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
  }

  async #read(): Promise<void> {
    for (const partition of this.#next.keys()) {
      for (;;) {
        const sequenceNumber = this.#next[partition] ?? 0;
        const { nextSequenceNumber } = this.#telemetry.partition(partition);
        if (sequenceNumber === nextSequenceNumber) break;
        const limits = { recordsMax: 1_000, bytesMax: 1 << 20 };
        const events = await this.#telemetry.read(partition, { sequenceNumber }, limits);
        for (const event of events) this.#take(Number(Buffer.from(event.body).toString("latin1")));
        this.#next[partition] = (events.at(-1)?.sequenceNumber ?? nextSequenceNumber - 1) + 1;
      }
    }
  }

  #take(n: number): void {
    if (n === this.newest + 1) this.newest = n;
    else if (n <= this.newest) this.repeats += 1;
    else this.problem ??= `${n} came behind ${this.newest}`;
  }
}
