import type { ErrorCode, MessageProperties } from "@hubwire/protocol";
import type { PeerCertificate } from "@hubwire/transport";
import type { CredentialMark } from "./credential-marks.ts";
import type { PartitionInfo, TelemetryStart } from "./ports.ts";

/**
 * The seam between listeners and the domain: plain data in and out, so that either side may one day live in another
 * thread or process. Every method throws `IotError` from the catalogue; listeners translate it by lookup.
 */

export type IdentityRef = { deviceId: string; moduleId: string | undefined };

/** `deviceId` or `deviceId/moduleId`: unique, since ids never contain `/`. */
export const identityKey = (ref: IdentityRef): string =>
  ref.moduleId === undefined ? ref.deviceId : `${ref.deviceId}/${ref.moduleId}`;

/** Key of everything that dies with one life of an identity: twin, C2D queue, MQTT session. */
export const generationKey = (ref: IdentityRef, generationId: string): string =>
  `${identityKey(ref)}@${generationId}`;

export type Authentication =
  | { type: "sas"; primaryKey: string; secondaryKey: string }
  | {
      type: "selfSigned";
      primaryThumbprint: string | undefined;
      secondaryThumbprint: string | undefined;
    }
  | { type: "certificateAuthority" };

/** An identity as stored; the REST listener formats Azure's JSON from it. */
export type Identity = IdentityRef & {
  generationId: string;
  /** Base64 of decimal counter text, unquoted. */
  etag: string;
  status: "enabled" | "disabled";
  statusReason: string | undefined;
  statusUpdatedAtMs: number | undefined;
  authentication: Authentication;
  capabilities: { iotEdge: boolean };
  managedBy: string | undefined;
};

/** Facts that belong to the running hub rather than to the registry. */
export type Presence = {
  connected: boolean;
  connectionStateUpdatedAtMs: number | undefined;
  lastActivityAtMs: number | undefined;
};

export type IdentityWrite = IdentityRef & {
  status: "enabled" | "disabled";
  statusReason: string | undefined;
  /** Undefined mints new keys (reference §9.2). */
  authentication: Authentication | undefined;
  capabilities: { iotEdge: boolean };
  managedBy: string | undefined;
};

/** @param kept credentials that still let the identity in; undefined when nothing does, for a device nor for its modules */
export type RevocationListener = (
  ref: IdentityRef,
  code: ErrorCode,
  reason: string,
  kept: readonly CredentialMark[] | undefined,
) => void;

export interface Identities {
  find(ref: IdentityRef): Promise<Identity | undefined>;
  create(write: IdentityWrite): Promise<Identity>;
  /** `ifMatch` unquoted; `*` matches any. */
  update(write: IdentityWrite, ifMatch: string): Promise<Identity>;
  delete(ref: IdentityRef, ifMatch: string | undefined): Promise<void>;
  listDevices(top: number): Promise<Identity[]>;
  listModules(deviceId: string): Promise<Identity[]>;
  statistics(): Promise<{ total: number; enabled: number; disabled: number }>;
  /** Called after a commit that must end connections of the identity: disabled, deleted, re-keyed. */
  onRevoked(listener: RevocationListener): () => void;
}

export type SubscriptionKind =
  | "c2d"
  | "methods"
  | "twinResponses"
  | "desired"
  | "moduleInputs"
  | "credentials";

/** A persisted subscription: the filter as the client wrote it and what it means. */
export type Subscription = { filter: string; kind: SubscriptionKind; qos: 0 | 1 };

/** A live connection as the rest of the domain sees it. Sending never throws; a dying connection swallows. */
export interface LiveConnection {
  readonly ref: IdentityRef;
  readonly generationId: string;
  readonly connectionId: number;
  isSubscribed(kind: SubscriptionKind): boolean;
  sendMethod(rid: string, name: string, payload: Uint8Array): void;
  sendTwinResponse(
    rid: string,
    status: number,
    version: number | undefined,
    body: Uint8Array,
  ): void;
  sendDesired(version: number, body: Uint8Array): void;
  close(code: ErrorCode, reason: string): void;
}

/** Who is connected. Owned by the connections folder of the domain; everybody else looks. */
export interface Connections {
  find(ref: IdentityRef): LiveConnection | undefined;
  presence(ref: IdentityRef): Presence;
  readonly count: number;
  /** Calls back when a subscription of that kind appears on a connection of `ref`, or it connects with one. */
  onSubscribed(listener: (connection: LiveConnection, kind: SubscriptionKind) => void): () => void;
  onClosed(listener: (connection: LiveConnection) => void): () => void;
  closeIdentity(ref: IdentityRef, code: ErrorCode, reason: string): void;
  closeAll(code: ErrorCode, reason: string): void;
}

/** Device-side twin operations; one at a time per twin, answers and notifications leave in commit order. */
export interface DeviceTwins {
  get(connection: LiveConnection, rid: string): void;
  report(
    connection: LiveConnection,
    rid: string,
    baseVersion: number | undefined,
    body: Uint8Array,
  ): void;
}

/** Service-side twin operations. The views are the JSON documents of the reference §8.4. */
export interface ServiceTwins {
  read(ref: IdentityRef): Promise<{ twin: Record<string, unknown>; etag: string }>;
  patch(
    ref: IdentityRef,
    body: unknown,
    ifMatch: string | undefined,
  ): Promise<{ twin: Record<string, unknown>; etag: string }>;
  replace(
    ref: IdentityRef,
    body: unknown,
    ifMatch: string | undefined,
  ): Promise<{ twin: Record<string, unknown>; etag: string }>;
}

export interface Methods {
  /** @throws IotError `device.not_found`, `module.not_found`, `device.not_online`, `method.timeout`, `method.bad_response` … */
  invoke(
    ref: IdentityRef,
    call: {
      methodName: string;
      /** JSON text, or empty for null. */
      payload: Uint8Array;
      responseTimeoutS: number;
      connectTimeoutS: number;
    },
    signal: AbortSignal,
  ): Promise<{ status: number; payload: unknown }>;
  /** A device answered; answers from a connection that was not asked, or late ones, are dropped. */
  respond(connection: LiveConnection, rid: string, status: number, body: Uint8Array): void;
}

export type C2dMessage = {
  properties: MessageProperties;
  /** `none`, `positive`, `negative`, `full`; delivered to the device as `iothub-ack`. */
  ack: string | undefined;
  expiresAtMs: number | undefined;
  body: Uint8Array;
};

export interface ServiceC2d {
  send(deviceId: string, message: C2dMessage): Promise<{ messageId: string; sequence: number }>;
  purge(deviceId: string): Promise<{ purged: number }>;
  /** @param generationId of an identity just read, which saves reading it again */
  count(deviceId: string, generationId?: string): Promise<number>;
}

/** What became of a cloud-to-device message whose sender asked to be told. */
export type FeedbackRecord = {
  originalMessageId: string;
  deviceId: string;
  deviceGenerationId: string;
  /** When it happened, wall clock ms. */
  enqueuedAtMs: number;
  statusCode: "Success" | "Expired" | "DeliveryCountExceeded" | "Rejected" | "Purged";
};

/** One feedback message, locked for whoever received it. */
export type FeedbackBatch = {
  lockToken: string;
  sequence: number;
  /** When the batch was made, wall clock ms. */
  enqueuedAtMs: number;
  deliveryCount: number;
  records: readonly FeedbackRecord[];
};

/** Feedback as back ends take it, over AMQP or HTTP. A batch that nobody completes comes again when its lock ends. */
export interface Feedback {
  /** Locks the oldest batch that is ready; undefined when there is none. */
  receive(): Promise<FeedbackBatch | undefined>;
  /** Ends the batch for good. `ok` is false when the lock is no longer held. */
  complete(lockToken: string): Promise<{ ok: boolean }>;
  /** Gives the batch back at once. */
  abandon(lockToken: string): Promise<{ ok: boolean }>;
}

/** One page of a query's result. */
export type QueryPage = {
  /** What `x-ms-item-type` says. */
  itemType: "Twin" | "Raw" | "DeviceJob";
  items: readonly unknown[];
  /** Undefined on the last page. */
  continuation: string | undefined;
};

export interface Query {
  /** @throws IotError with a face on HTTP when the text, the page size or the continuation cannot be used */
  run(
    query: { text: string },
    page: { pageSize: number | undefined; continuation: string | undefined },
  ): Promise<QueryPage>;
}

/** The import modes of the registry's bulk operation, in lower case. */
export type BulkMode =
  | "create"
  | "update"
  | "updateifmatchetag"
  | "createorupdate"
  | "createorupdateifmatchetag"
  | "delete"
  | "deleteifmatchetag"
  | "updatetwin"
  | "updatetwinifmatchetag";

export type BulkItem = {
  mode: BulkMode;
  /** The mode as the caller wrote it, for the report. */
  operation: string;
  write: IdentityWrite;
  etag: string | undefined;
  twinEtag: string | undefined;
  /** `{ tags, properties: { desired } }`, or undefined when the caller gave neither. */
  twin: Record<string, unknown> | undefined;
};

/** What became of an item: an error means that nothing was done, a warning that the device is registered without its twin. */
export type BulkProblem = {
  ref: IdentityRef;
  operation: string;
  kind: "error" | "warning";
  error: unknown;
};

export interface BulkRegistry {
  /** Every item for itself, in the order given for one device. Rejects only when nothing was begun. */
  run(items: readonly BulkItem[]): Promise<readonly BulkProblem[]>;
}

/** A telemetry message as a back end reads it. */
export type TelemetryEvent = {
  partition: number;
  sequenceNumber: number;
  offset: string;
  enqueuedTimeMs: number;
  deviceId: string;
  moduleId: string | undefined;
  generationId: string;
  /** The JSON text of `iothub-connection-auth-method`. */
  authMethod: string;
  /** `Telemetry`. */
  messageSource: string;
  modelId: string | undefined;
  properties: MessageProperties;
  body: Uint8Array;
};

export interface TelemetryReader {
  readonly partitionCount: number;
  read(
    partition: number,
    from: TelemetryStart,
    limits: { recordsMax: number; bytesMax: number },
  ): Promise<TelemetryEvent[]>;
  partition(index: number): PartitionInfo;
  /** Something was committed; wake live readers. No payload on purpose. */
  onCommit(listener: () => void): () => void;
}

// ---- The device side, as an MQTT listener uses it ----

export type ConnectAttempt = {
  clientId: string;
  username: string | undefined;
  password: string | undefined;
  cleanSession: boolean;
  keepAliveS: number;
  will: { topic: string; payload: Uint8Array; qos: 0 | 1 | 2; retain: boolean } | undefined;
  certificate: PeerCertificate | undefined;
  address: string;
};

export type Admission = {
  ref: IdentityRef;
  generationId: string;
  /** What let it in: it may stay while one of these is kept. */
  credentials: readonly CredentialMark[];
  /** JSON text of `iothub-connection-auth-method`. */
  authMethod: string;
  /** Wall clock ms at which the hub cuts the connection (token expiry + grace); undefined with a certificate. */
  expiresAtMs: number | undefined;
  modelId: string | undefined;
  /** One line for the log when something was tolerated (the guide's X.509 snippet without user name). */
  warning: string | undefined;
};

/** Decides who may come in. Every refusal is an `IotError` whose code names the exact check (catalogue group `auth.*`). */
export interface Authenticator {
  authenticateDevice(attempt: ConnectAttempt): Promise<Admission>;
  /**
   * Service REST: checks the `Authorization` header against a policy permission. A token may be for less than the hub:
   * it then covers only requests whose path begins with its resource.
   * @param path decoded segments of the request, such as ["devices", "d"]; without it only the whole hub will do
   */
  authorizeService(
    authorization: string | undefined,
    permission: ServicePermission,
    path?: readonly string[],
  ): Promise<void>;
}

export type ServicePermission =
  | "RegistryRead"
  | "RegistryReadWrite"
  | "ServiceConnect"
  | "DeviceConnect";
