import { join } from "node:path";
import { parseServiceConnectionString } from "@hubwire/protocol";
import { LineProcess } from "../support/line-process.ts";

export type HubArguments = {
  directory: string;
  bug: string | undefined;
  /** Of telemetry, 8 MiB: small, so that deletion of old files is never far away. */
  retentionBytes?: number;
};

/** Where a hub that is ready can be found, and what a client of it needs. */
export type HubAddress = {
  mqttPort: number;
  httpsPort: number;
  amqpPort: number;
  caPem: string;
  /** Key of the `iothubowner` policy. */
  ownerKey: string;
};

const startTimeoutMs = 60_000;
/** Half of a start is compiling, which need not be done two hundred times. */
const compileCache = join(import.meta.dirname, "../../node_modules/.cache/compiled");

/** The hub under test: a real process on a real directory. */
export class HubProcess {
  readonly #process: LineProcess;

  constructor(hub: HubArguments) {
    this.#process = new LineProcess(
      process.execPath,
      [
        "--conditions=@hubwire/source",
        "--disable-warning=ExperimentalWarning",
        join(import.meta.dirname, "hub-process.scenario.ts"),
        JSON.stringify(hub),
      ],
      { NODE_COMPILE_CACHE: compileCache },
    );
  }

  /** Rejects, with what the process printed, when it ends before it is ready. */
  async ready(): Promise<HubAddress> {
    const line = await this.#process.line(
      "the hub is ready",
      ({ event }) => event === "ready",
      startTimeoutMs,
    );
    const { owner, ...address } = line as Omit<HubAddress, "ownerKey"> & { owner: string };
    const ownerKey = parseServiceConnectionString(owner).sharedAccessKey;
    return { ...address, ownerKey };
  }

  kill(): void {
    this.#process.kill();
  }

  async ended(): Promise<void> {
    await this.#process.ended();
  }
}
