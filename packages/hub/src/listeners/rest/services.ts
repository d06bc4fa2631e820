import type { Clock } from "@hubwire/transport";
import type { Certificates } from "../../domain/certificates/index.ts";
import type { Logger } from "../../domain/observe.ts";
import type {
  Authenticator,
  BulkRegistry,
  Connections,
  Feedback,
  Identities,
  Methods,
  Query,
  ServiceC2d,
  ServiceTwins,
} from "../../domain/services.ts";

/** What the REST listener asks of the rest of the hub. */
export type RestServices = {
  authenticator: Pick<Authenticator, "authorizeService">;
  identities: Identities;
  bulk: BulkRegistry;
  twins: ServiceTwins;
  methods: Pick<Methods, "invoke">;
  connections: Pick<Connections, "presence" | "count">;
  c2d: ServiceC2d;
  feedback: Feedback;
  query: Query;
  /** CAs of devices; undefined: nothing is served at their addresses. */
  certificates?: Certificates | undefined;
  clock: Clock;
  logger: Logger;
  /** Makes `x-ms-request-id`, which is also the tracking id in error answers and in the log. */
  requestId: () => string;
  /** Why the hub is not ready to take work, in words; undefined when it is. */
  unreadyReason: () => string | undefined;
  /** Prometheus text format. */
  metricsText: () => string | Promise<string>;
};
