import { join } from "node:path";
import { LineProcess } from "../support/line-process.ts";

export type OutboxDeviceArguments = {
  connectionString: string;
  /** Of whatever leads to the hub. */
  port: number;
  caPem: string;
  directory: string;
  seed: number;
  /** Of its first message. */
  firstNumber: number;
  segmentBytes: number;
  /** A planted mistake, which proves that the test would see it. */
  bug: string | undefined;
};

export type Accepted = { n: number; priority: string; messageId: string };

/** Half of a start is compiling, which need not be done two hundred times. */
const compileCache = join(import.meta.dirname, "../../node_modules/.cache/compiled");

/** The device under test: a real process on a real directory. */
export class OutboxDevice {
  readonly #process: LineProcess;

  constructor(device: OutboxDeviceArguments) {
    this.#process = new LineProcess(
      process.execPath,
      [
        "--conditions=@hubwire/source",
        "--disable-warning=ExperimentalWarning",
        join(import.meta.dirname, "outbox-device.scenario.ts"),
        JSON.stringify(device),
      ],
      { NODE_COMPILE_CACHE: compileCache },
    );
  }

  async ready(): Promise<void> {
    await this.#process.line("the device is ready", ({ event }) => event === "ready", 60_000);
  }

  /** After so many messages of this life were accepted; sooner when it ends. */
  async acceptedMany(count: number): Promise<void> {
    const last = (): boolean => this.accepted.length >= count;
    await this.#process.line(`${count} messages are accepted`, last, 60_000);
  }

  /** Of this life, so far. */
  get accepted(): Accepted[] {
    return this.#process.lines.filter(({ event }) => event === "accepted") as Accepted[];
  }

  async drain(): Promise<void> {
    this.#process.tell({ stop: true });
    await this.#process.line(
      "everything is with the hub",
      ({ event }) => event === "drained",
      60_000,
    );
  }

  kill(): void {
    this.#process.kill();
  }

  async ended(): Promise<void> {
    await this.#process.ended();
  }
}
