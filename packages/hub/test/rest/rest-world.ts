import { createHmac } from "node:crypto";
import { buildSasToken, IotError } from "@hubwire/protocol";
import { createAuthenticator, ensurePolicies } from "../../src/domain/auth/index.ts";
import { createBulk } from "../../src/domain/identities/index.ts";
import { silentLogger } from "../../src/domain/observe.ts";
import type { Logger } from "../../src/domain/observe.ts";
import type { Feedback, FeedbackBatch, Query, QueryPage } from "../../src/domain/services.ts";
import { createRestHandler } from "../../src/listeners/rest/index.ts";
import type { RestRequest, RestResponse, RestServices } from "../../src/listeners/rest/index.ts";
import { createWorld } from "./world.ts";

export const hostName = "hub.test";
export const version = "api-version=2021-04-12";

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
