import { createHmac } from "node:crypto";
import { buildSasToken, IotError, parseD2cProperties } from "@hubwire/protocol";
import { createAuthenticator, ensurePolicies } from "../../src/domain/auth/index.ts";
import { createBulk } from "../../src/domain/identities/index.ts";
import { silentLogger } from "../../src/domain/observe.ts";
import type { Logger } from "../../src/domain/observe.ts";
import type {
  Feedback,
  FeedbackBatch,
  Query,
  QueryPage,
  TelemetryEvent,
  TelemetryReader,
} from "../../src/domain/services.ts";
import { createRestHandler } from "../../src/listeners/rest/index.ts";
import type { RestRequest, RestResponse, RestServices } from "../../src/listeners/rest/index.ts";
import { createWorld } from "./world.ts";

export const hostName = "hub.test";
export const version = "api-version=2021-04-12";

/** A telemetry log that is an array: what arrives is committed at once. */
class FakeTelemetry implements TelemetryReader {
  readonly partitionCount = 2;
  readonly events: TelemetryEvent[] = [];
  reads = 0;
  /** Something that happens between a read and its answer. */
  duringRead: (() => void) | undefined;
  readonly listeners = new Set<() => void>();

  add(partition: number, more: Partial<TelemetryEvent> & { bag?: string; text?: string } = {}) {
    const { bag = "", text = "x", ...rest } = more;
    const sequenceNumber = this.partition(partition).nextSequenceNumber;
    this.events.push({
      partition,
      sequenceNumber,
      offset: String(sequenceNumber * 100),
      enqueuedTimeMs: Date.UTC(2025, 0, 1) + this.events.length,
      deviceId: "d",
      moduleId: undefined,
      generationId: "1",
      authMethod: '{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}',
      messageSource: "Telemetry",
      modelId: undefined,
      properties: parseD2cProperties(bag),
      body: Buffer.from(text),
      ...rest,
    });
    for (const listener of this.listeners) listener();
  }
  partition(index: number) {
    const own = this.events.filter((event) => event.partition === index);
    const last = own.at(-1);
    return {
      firstSequenceNumber: own[0]?.sequenceNumber ?? 0,
      nextSequenceNumber: (last?.sequenceNumber ?? -1) + 1,
      lastOffset: Number(last?.offset ?? -1),
      lastEnqueuedTimeMs: last?.enqueuedTimeMs ?? 0,
    };
  }
  async read(
    partition: number,
    from: Parameters<TelemetryReader["read"]>[1],
    limits: { recordsMax: number },
  ): Promise<TelemetryEvent[]> {
    this.reads++;
    const isFrom = (event: TelemetryEvent): boolean => {
      if (from === "first") return true;
      if (from === "end") return false;
      if ("sequenceNumber" in from) return event.sequenceNumber >= from.sequenceNumber;
      if ("offset" in from) return Number(event.offset) > from.offset;
      return event.enqueuedTimeMs >= from.enqueuedTimeMs;
    };
    const own = this.events.filter((event) => event.partition === partition && isFrom(event));
    this.duringRead?.();
    return own.slice(0, limits.recordsMax);
  }
  onCommit(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

/** Feedback that is an array: the first batch is locked with the token `lock-1`, and comes again when it is abandoned. */
class FakeFeedback implements Feedback {
  readonly batches: FeedbackBatch[] = [];
  #locks = 0;
  #locked: { token: string; batch: FeedbackBatch } | undefined;

  async receive(): Promise<FeedbackBatch | undefined> {
    const batch = this.batches.shift();
    if (batch === undefined) return undefined;
    const token = `lock-${++this.#locks}`;
    this.#locked = { token, batch };
    return { ...batch, lockToken: token };
  }
  async complete(lockToken: string): Promise<{ ok: boolean }> {
    const ok = this.#locked?.token === lockToken;
    if (ok) this.#locked = undefined;
    return { ok };
  }
  async abandon(lockToken: string): Promise<{ ok: boolean }> {
    const batch = this.#locked?.batch;
    const { ok } = await this.complete(lockToken);
    if (ok && batch !== undefined) this.batches.unshift(batch);
    return { ok };
  }
}

/** A query whose result is three numbers, by page; the continuation is where to go on. */
class FakeQuery implements Query {
  readonly asked: unknown[] = [];

  async run(query: { text: string }, page: Parameters<Query["run"]>[1]): Promise<QueryPage> {
    this.asked.push({ ...query, ...page });
    const from = Number(page.continuation ?? 0);
    const to = from + (page.pageSize ?? 100);
    const items = [1, 2, 3].slice(from, to);
    return { itemType: "Raw", items, continuation: to < 3 ? String(to) : undefined };
  }
}

type LogLine = { level: string; facts: Record<string, unknown>; message: string };

/** The REST surface over the in-memory domain, with the real authenticator. */
export async function createRestWorld(overrides: Partial<RestServices> = {}) {
  const world = createWorld();
  const policies = await ensurePolicies(world.stores.documents, (n) => world.random.bytes(n));
  const authenticator = createAuthenticator({
    identities: world.identities,
    policies,
    clock: world.clock,
    hostNames: [hostName],
  });
  const telemetry = new FakeTelemetry();
  const feedback = new FakeFeedback();
  const query = new FakeQuery();
  const log: LogLine[] = [];
  const logAs = (level: string) => (facts: object, message: string) =>
    void log.push({ level, facts: facts as Record<string, unknown>, message });
  const logger: Logger = { ...silentLogger, warn: logAs("warn"), error: logAs("error") };
  const state = { unready: undefined as string | undefined };
  let ids = 0;
  const services: RestServices = {
    authenticator,
    identities: world.identities,
    bulk: createBulk(world),
    twins: world.twins,
    methods: world.methods,
    connections: world.connections,
    c2d: world.c2d.service,
    feedback,
    query,
    telemetry,
    clock: world.clock,
    logger,
    requestId: () => `request-${++ids}`,
    unreadyReason: () => state.unready,
    metricsText: () => "# HELP hubwire_connections Connections\nhubwire_connections 0\n",
    ...overrides,
  };

  const token = async (
    policyName: string,
    more: { expiresAtS?: number; key?: string; resource?: string } = {},
  ) => {
    const policy = policies.find(({ name }) => name === policyName);
    const key = Buffer.from(more.key ?? policy?.primaryKey ?? "", "base64");
    const expiresAtS = more.expiresAtS ?? Math.floor(world.clock.wallMs() / 1000) + 3600;
    return buildSasToken(
      { resource: more.resource ?? hostName, expiresAtS, policyName },
      async (text) => createHmac("sha256", key).update(text).digest("base64"),
    );
  };
  const owner = await token("iothubowner");

  const stopping = new AbortController();
  const handle = createRestHandler(services, stopping.signal);
  /** Any request, as owner unless `authorization` says otherwise ("" sends none). */
  const call = (
    method: string,
    target: string,
    more: {
      body?: unknown;
      text?: string;
      headers?: Record<string, string>;
      authorization?: string;
      isLoopback?: boolean;
      signal?: AbortSignal;
    } = {},
  ): Promise<RestResponse> => {
    const text = more.text ?? (more.body === undefined ? "" : JSON.stringify(more.body));
    const authorization = more.authorization ?? owner;
    const request: RestRequest = {
      method,
      target,
      headers: {
        ...(text === "" ? {} : { "content-type": "application/json; charset=utf-8" }),
        ...(authorization === "" ? {} : { authorization }),
        ...more.headers,
      },
      readBody: async (bytesMax) => {
        const bytes = Buffer.from(text);
        if (bytes.length > bytesMax) throw new IotError("request.too_large", "too large");
        return bytes;
      },
      address: "192.0.2.1:50000",
      isLoopback: more.isLoopback ?? false,
      signal: more.signal ?? new AbortController().signal,
    };
    return handle(request);
  };
  return {
    ...world,
    services,
    telemetry,
    feedback,
    query,
    log,
    state,
    token,
    owner,
    policies,
    call,
    stopping,
    handle,
  };
}

export const jsonOf = (response: RestResponse): Record<string, unknown> =>
  JSON.parse(response.body as string) as Record<string, unknown>;

/** Status and the two error names, which is what a table of refusals compares. */
export const faceOf = (response: RestResponse): string =>
  [
    response.status,
    response.headers["iothub-errorcode"] ?? "",
    response.headers["hubwire-errorcode"] ?? "",
  ]
    .join(" ")
    .trim();
