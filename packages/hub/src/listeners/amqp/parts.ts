import type { Clock } from "@hubwire/transport";
import type { ServiceTokens } from "../../domain/auth/index.ts";
import type { Logger } from "../../domain/observe.ts";
import type { ReaderLog } from "../../domain/telemetry/index.ts";
import type { ServiceC2d } from "../../domain/services.ts";
import type { ConsumerGroups } from "../../domain/telemetry/consumer-groups/index.ts";
import type { FeedbackQueue } from "../../domain/feedback/index.ts";
import type { AmqpLimits } from "./limits.ts";
import type { PartitionReaders } from "./events/partition-readers.ts";
import type { Waiters } from "./events/waiters.ts";

/** What every AMQP connection shares. */
export type AmqpParts = {
  tokens: ServiceTokens;
  c2d: Pick<ServiceC2d, "send">;
  feedback: FeedbackQueue;
  log: ReaderLog;
  consumerGroups: ConsumerGroups;
  readers: PartitionReaders;
  waiters: Waiters;
  /** Name of the Event Hubs-compatible entity (`EntityPath`). */
  entity: string;
  hubName: string;
  /** Where a redirect sends readers. */
  eventHubsHost: () => { hostName: string; port: number };
  createdAtMs: number;
  clock: Clock;
  logger: Logger;
  limits: AmqpLimits;
};
