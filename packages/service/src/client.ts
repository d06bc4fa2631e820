import { accessOf } from "./credentials.ts";
import type { Credentials } from "./credentials.ts";
import { createCaCertificates } from "./rest/certificates.ts";
import type { CaCertificates } from "./rest/certificates.ts";
import { createCaller } from "./rest/caller.ts";
import type { FetchLike } from "./rest/fetch-like.ts";
import { createHttpFeedback } from "./rest/feedback.ts";
import type { HttpFeedback } from "./rest/feedback.ts";
import { createIdentities, createModules } from "./rest/identities.ts";
import type { Identities, Modules } from "./rest/identities.ts";
import { devicePath, expectObject } from "./rest/paths.ts";
import { runQuery } from "./rest/query.ts";
import type { QueryOptions, QueryResult } from "./rest/query.ts";
import type { RetryOptions } from "./rest/retry.ts";
import { createMethods, createTwins } from "./rest/twins.ts";
import type { Methods, Twins } from "./rest/twins.ts";
import type {
  CallOptions,
  DeviceStatistics,
  PurgeResult,
  ServiceStatistics,
  Twin,
} from "./types.ts";

export type ServiceClientOptions = Credentials & {
  /**
   * How requests leave. Default the platform's `fetch`. In Node, `createNodeFetch` of `@hubwire/service/node` takes the CA of
   * a local hub.
   */
  fetch?: FetchLike;
  /** Where to send to instead of the host in the credentials, such as `https://localhost:8443`; no slash at the end. */
  endpoint?: string;
  retry?: RetryOptions;
};

/**
 * A back end's view of an IoT Hub over its REST API, Azure's or a Hubwire hub's. It holds no connection: there is nothing to
 * close. Every call settles by its `timeoutMs` with a value or an `IotError`.
 */
export type ServiceClient = {
  /** Without port. */
  readonly hostName: string;
  readonly identities: Identities;
  readonly modules: Modules;
  readonly twins: Twins;
  readonly methods: Methods;
  /** `SELECT * FROM devices …`: twins by default; name what else a projection or an aggregate gives. */
  query<T = Twin>(text: string, options?: QueryOptions): QueryResult<T>;
  readonly statistics: {
    devices(options?: CallOptions): Promise<DeviceStatistics>;
    service(options?: CallOptions): Promise<ServiceStatistics>;
  };
  readonly c2d: {
    /** Drops what waits in a device's queue. */
    purge(deviceId: string, options?: CallOptions): Promise<PurgeResult>;
  };
  readonly feedback: HttpFeedback;
  /** Hubwire hubs only. */
  readonly certificates: CaCertificates;
};

/** @throws IotError `connection_string.*`, `argument.invalid` */
export function createServiceClient(options: ServiceClientOptions): ServiceClient {
  const access = accessOf(options);
  const { hostName, port } = access;
  const isStandard = port === undefined || port === 443;
  const endpoint = options.endpoint ?? `https://${hostName}${isStandard ? "" : `:${port}`}`;
  const fetch: FetchLike = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
  const call = createCaller({ access, endpoint, fetch, retry: options.retry ?? {} });
  const statistics =
    <T extends object>(of: "devices" | "service") =>
    async (how?: CallOptions): Promise<T> => {
      const { json } = await call({ method: "GET", path: ["statistics", of] }, how);
      return expectObject(json, "statistics");
    };
  return {
    hostName,
    identities: createIdentities(call),
    modules: createModules(call),
    twins: createTwins(call),
    methods: createMethods(call),
    query: (text, how) => runQuery(call, text, how),
    statistics: {
      devices: statistics<DeviceStatistics>("devices"),
      service: statistics<ServiceStatistics>("service"),
    },
    c2d: {
      async purge(deviceId, how) {
        const path = [...devicePath(deviceId), "commands"];
        const { json } = await call({ method: "DELETE", path }, how);
        return expectObject(json, "result of a purge");
      },
    },
    feedback: createHttpFeedback(call),
    certificates: createCaCertificates(call),
  };
}
