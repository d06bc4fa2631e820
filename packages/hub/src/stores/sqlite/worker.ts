import { parentPort, workerData } from "node:worker_threads";
import { SqliteEngine, toFailure } from "./engine.ts";
import type { Reply, Request, WorkerSettings } from "./operations.ts";
import { NewerFormat } from "./schema.ts";
import { sqliteCodes } from "./sqlite-codes.ts";

/** Entry point of the worker thread that owns the documents database. */
const port = parentPort;
if (port === null) throw new Error("worker.ts runs in a worker thread only");
const reply = (message: Reply): void => port.postMessage(message);

function open(): SqliteEngine | undefined {
  try {
    return new SqliteEngine(workerData as WorkerSettings);
  } catch (error) {
    const { code, message } = toFailure(error);
    const reason = error instanceof NewerFormat ? "newer" : (sqliteCodes[code]?.refusal ?? "other");
    reply({ refused: { code: reason, message } });
    return undefined;
  }
}

const engine = open();
if (engine) {
  port.on("message", (request: Request) => {
    if ("batch" in request) {
      reply({ outcomes: engine.run(request.batch) });
    } else {
      engine.close();
      port.close();
    }
  });
  reply({ ready: true, upgradedFrom: engine.upgradedFrom });
}
