import type { Clock, Timer } from "@hubwire/transport";
import type { HubMetrics, Logger } from "../observe.ts";
import type { C2dQueueStore } from "../ports.ts";
import type { OnFeedback } from "../feedback/index.ts";
import type { Identities, ServiceC2d } from "../services.ts";
import { C2dDelivery } from "./delivery.ts";
import { createServiceC2d } from "./service.ts";

export type { C2dDelivery } from "./delivery.ts";
export type { C2dChannel } from "./channel.ts";
export type { C2dPort } from "./port.ts";

/** How often messages past their time are looked for; reading a queue skips them in any case. */
const sweepIntervalMs = 60_000;

export type C2dOptions = {
  store: C2dQueueStore;
  identities: Pick<Identities, "find">;
  clock: Clock;
  metrics: HubMetrics;
  logger: Logger;
  newMessageId: () => string;
  /** Messages became feedbackPending. */
  onFeedback?: OnFeedback;
  /** Whether a CONNECT with clean=1 empties the device's queue; default true. */
  cleanSessionPurges?: boolean;
};

export type C2d = {
  service: ServiceC2d;
  delivery: C2dDelivery;
  /** Before the first connection: no lock survives a restart. Starts the sweeps. */
  start(): Promise<void>;
  stop(): void;
};

/** Cloud-to-device messages: the service's side, delivery to connections, and housekeeping. */
export function createC2d(options: C2dOptions): C2d {
  const { store, clock, logger } = options;
  const delivery = new C2dDelivery(options);
  const service = createServiceC2d({ ...options, delivery });
  let timer: Timer | undefined;
  const sweep = async (): Promise<void> => {
    try {
      for (const queue of await store.queues()) await delivery.expire(queue);
    } catch (error) {
      logger.warn(
        { event: "c2d_sweep_failed", reason: String(error) },
        "Expired messages were not removed",
      );
    }
    if (timer !== undefined) arm();
  };
  const arm = (): void => {
    timer = clock.at(clock.nowMs() + sweepIntervalMs, () => void sweep());
  };
  return {
    service,
    delivery,
    async start() {
      await delivery.start();
      arm();
    },
    stop() {
      timer?.cancel();
      timer = undefined;
    },
  };
}
