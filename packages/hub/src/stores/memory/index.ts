import type { Clock } from "@hubwire/transport";
import type { Stores } from "../../domain/ports.ts";
import { Health } from "../health.ts";
import { C2dImage, MemoryC2dQueues } from "./c2d.ts";
import { DocumentsImage, MemoryDocuments } from "./documents.ts";
import { type Fault, Operations, type Schedule, type StoreOperation } from "./operations.ts";
import { MemoryTelemetry, type MemoryTelemetryLimits, TelemetryImage } from "./telemetry.ts";

export type { Fault, Schedule, StoreOperation } from "./operations.ts";

/** What a memory store keeps: hand it to the next `createMemoryStores` and a restart has been simulated. */
export type MemoryImage = {
  documents: DocumentsImage;
  c2d: C2dImage;
  telemetry: TelemetryImage;
};

export type MemoryStoresOptions = {
  /** Default 4; a given image has its own. */
  partitions?: number;
  clock: Clock;
  /** When operations complete. Default: documents and queues at once (a microtask later), telemetry at the end of the turn. */
  schedule?: Schedule;
  /** Asked once per operation, as it completes. Default: none fails. */
  fault?: (operation: StoreOperation) => Fault;
  image?: MemoryImage;
  limits?: Partial<MemoryTelemetryLimits>;
};

export interface MemoryStores extends Stores {
  readonly image: MemoryImage;
  /** The power goes: what has not completed never happened and never settles; the image holds the rest. */
  cut(): void;
}

const defaultLimits: MemoryTelemetryLimits = {
  retainedBytesMax: 64 * 1024 * 1024,
  pendingBytesMax: 16 * 1024 * 1024,
  segmentBytes: 1024 * 1024,
};

/** Stores for tests, simulations and hubs without a data directory. Keeps every promise of the durable ones but durability. */
export function createMemoryStores(options: MemoryStoresOptions): MemoryStores {
  const { clock, fault = () => undefined } = options;
  const image = options.image ?? {
    documents: new DocumentsImage(),
    c2d: new C2dImage(),
    telemetry: new TelemetryImage(options.partitions ?? 4),
  };
  const health = new Health();
  const operations = new Operations({
    schedule: options.schedule ?? queueMicrotask,
    fault,
    clock,
    health,
  });
  const schedule: Schedule = options.schedule ?? ((complete) => clock.endOfTurn(complete));
  const telemetry = new MemoryTelemetry(
    image.telemetry,
    { clock, operations, schedule },
    { ...defaultLimits, ...options.limits },
  );
  return {
    documents: new MemoryDocuments(image.documents, operations),
    c2d: new MemoryC2dQueues(image.c2d, operations),
    telemetry,
    image,
    get unhealthyReason() {
      return health.reason;
    },
    onHealth: (listener) => health.onChange(listener),
    cut: () => operations.cut(),
    async [Symbol.asyncDispose]() {
      await Promise.all([telemetry.close(), operations.close()]);
    },
  };
}
