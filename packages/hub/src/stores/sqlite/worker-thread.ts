import { Worker } from "node:worker_threads";
import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import type { Operation, Outcome, Reply, Request, WorkerSettings } from "./operations.ts";

/** The same file type as this one: TypeScript when sources run as they are, JavaScript when built. */
const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
const workerFile = new URL(`./worker.${extension}`, import.meta.url);

export type Spawn = (settings: WorkerSettings) => Worker;
/** The thread needs none of the process's own flags, and some (`--input-type` of `node --eval`) would keep it from starting. */
export const spawnWorker: Spawn = (settings) =>
  new Worker(workerFile, { workerData: settings, name: "hubwire-documents", execArgv: [] });

const refusals: Readonly<Record<string, ErrorCode>> = {
  newer: "hub.data_newer_format",
  corrupt: "hub.data_corrupt",
  readOnly: "hub.disk_read_only",
  full: "hub.disk_full",
  other: "hub.data_corrupt",
};

/** One life of the worker: started, ready, asked one batch at a time, ended by us or by an accident. */
export class WorkerThread {
  readonly upgradedFrom: number | undefined;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #answer: ((outcomes: Outcome[]) => void) | undefined;
  #closing = false;

  private constructor(
    worker: Worker,
    upgradedFrom: number | undefined,
    exited: Promise<string>,
    onDied: (why: string) => void,
  ) {
    this.#worker = worker;
    this.upgradedFrom = upgradedFrom;
    worker.on("message", (reply: Reply) => {
      if ("outcomes" in reply) this.#answer?.(reply.outcomes);
    });
    this.#exited = exited.then((why) => {
      if (!this.#closing) onDied(why);
    });
  }

  /** @throws IotError `hub.data_newer_format`, `hub.data_corrupt`, `hub.disk_read_only`, `hub.disk_full` */
  static async start(
    settings: WorkerSettings,
    spawn: Spawn,
    onDied: (why: string) => void,
  ): Promise<WorkerThread> {
    const worker = spawn(settings);
    let why = "its thread ended";
    worker.on("error", (error: Error) => (why = error.message));
    const exited = new Promise<string>((resolve) => worker.once("exit", () => resolve(why)));
    const first = new Promise<Reply>((resolve) => worker.once("message", resolve));
    const reply = await Promise.race([first, exited]);
    if (typeof reply === "object" && "ready" in reply) {
      return new WorkerThread(worker, reply.upgradedFrom, exited, onDied);
    }
    await worker.terminate();
    const refused =
      typeof reply === "object" && "refused" in reply
        ? { code: refusals[reply.refused.code], message: reply.refused.message }
        : { code: "store.unavailable" as const, message: why };
    throw new IotError(
      refused.code ?? "hub.internal",
      `The database ${settings.path} cannot be opened: ${refused.message}`,
    );
  }

  /** One batch at a time: the next only after `answer` was called. */
  run(batch: readonly Operation[], answer: (outcomes: Outcome[]) => void): void {
    this.#answer = answer;
    this.#post({ batch });
  }

  /** Closes the database and ends the thread. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#post({ close: true });
    await this.#exited;
  }

  #post(request: Request): void {
    this.#worker.postMessage(request);
  }
}
