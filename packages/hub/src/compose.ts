import { randomBytes, randomUUID } from "node:crypto";
import type { Clock } from "@hubwire/transport";
import type { CleanUp } from "./clean-up.ts";
import type { HubConfig } from "./config.ts";
import {
  createAuthenticator,
  createServiceTokens,
  defaultClockToleranceS,
  ensurePolicies,
} from "./domain/auth/index.ts";
import { createCertificates } from "./domain/certificates/index.ts";
import { createC2d } from "./domain/c2d/index.ts";
import { createHubEvents, watchConnectionState } from "./domain/events/index.ts";
import { createFeedback } from "./domain/feedback/index.ts";
import { ConnectionRegistry } from "./domain/connections/index.ts";
import { createBulk, createIdentities } from "./domain/identities/index.ts";
import { createMethods } from "./domain/methods/index.ts";
import { createHubMetrics } from "./domain/observe.ts";
import type { Logger } from "./domain/observe.ts";
import type { Stores } from "./domain/ports.ts";
import { createQueries } from "./domain/query/index.ts";
import { createConsumerGroups } from "./domain/telemetry/consumer-groups/index.ts";
import { createTelemetryReader, pacedLog, TelemetryIngest } from "./domain/telemetry/index.ts";
import { createTwins } from "./domain/twins/index.ts";

export type Domain = Awaited<ReturnType<typeof composeDomain>>;

/** Every part of the domain, on these stores. Nobody can reach it yet. */
export async function composeDomain(
  config: HubConfig,
  names: readonly string[],
  parts: { stores: Stores; clock: Clock; logger: Logger; cleanUp: CleanUp },
) {
  const { stores, clock, logger, cleanUp } = parts;
  const { documents } = stores;
  const metrics = createHubMetrics();
  const policies = await ensurePolicies(documents, randomBytes);
  const events = createHubEvents({
    store: stores.telemetry,
    hubName: config.hostName ?? names[0] ?? "localhost",
    switches: config.events ?? {},
    clock,
    logger,
    newCorrelationId: randomUUID,
  });
  const identities = createIdentities({
    documents,
    clock,
    randomBytes,
    c2d: stores.c2d,
    onLifecycle: events.lifecycle,
  });
  const certificates = await createCertificates({ documents, clock, randomBytes });
  const authenticator = createAuthenticator({
    provenCas: () => certificates.trusted(),
    identities,
    policies,
    clock,
    hostNames: names,
    ...(config.clockToleranceS !== undefined && { clockToleranceS: config.clockToleranceS }),
    ...(config.expiryGraceS !== undefined && { expiryGraceS: config.expiryGraceS }),
    ...(config.strictUserName !== undefined && { strictUserName: config.strictUserName }),
    ...(config.deviceCas !== undefined && { deviceCas: config.deviceCas }),
  });
  const connections = new ConnectionRegistry({ documents, identities, clock });
  cleanUp.add(() => connections.dispose());
  if (config.events?.connectionState === true) {
    const watch = watchConnectionState({ connections, events, clock });
    cleanUp.add(() => watch.stop());
  }
  const feedback = createFeedback({
    store: stores.c2d,
    identities,
    clock,
    logger,
    newLockToken: randomUUID,
  });
  cleanUp.add(() => feedback.stop());
  const c2d = createC2d({
    store: stores.c2d,
    onFeedback: feedback.onFeedback,
    identities,
    clock,
    metrics,
    logger,
    newMessageId: randomUUID,
  });
  const twins = createTwins({
    documents,
    identities,
    connections,
    clock,
    trackingId: randomUUID,
    logger,
    c2d: c2d.service,
    onChanged: events.twinChanged,
  });
  const bulk = createBulk({ identities, twins });
  const query = createQueries({ documents, connections, c2d: stores.c2d });
  const methods = createMethods({ identities, connections, clock });
  const ingest = new TelemetryIngest({
    store: stores.telemetry,
    metrics,
    logger,
    ...(config.limits?.telemetry && { limits: config.limits.telemetry }),
  });
  cleanUp.add(() => ingest.close());
  // No lock outlives the hub that gave it.
  await c2d.start();
  await feedback.start();
  const log = pacedLog(stores.telemetry, clock);
  cleanUp.add(() => c2d.stop());
  return {
    metrics,
    policies,
    identities,
    bulk,
    authenticator,
    certificates,
    serviceTokens: createServiceTokens({
      policies,
      clock,
      hostNames: names,
      clockToleranceS: config.clockToleranceS ?? defaultClockToleranceS,
    }),
    consumerGroups: await createConsumerGroups({ documents, clock }),
    connections,
    c2d,
    feedback,
    telemetryLog: log,
    twins,
    query,
    methods,
    ingest,
    telemetry: createTelemetryReader(log),
  };
}
