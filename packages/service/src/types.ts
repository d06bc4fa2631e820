/** The service's data as its REST API writes it. Fields a client does not know stay where they are. */

export type SymmetricKey = { primaryKey?: string | null; secondaryKey?: string | null };
export type X509Thumbprint = {
  primaryThumbprint?: string | null;
  secondaryThumbprint?: string | null;
};

export type AuthenticationType = "sas" | "selfSigned" | "certificateAuthority" | "none";

/** How an identity proves who it is; empty keys are made by the hub. */
export type AuthenticationMechanism = {
  type?: AuthenticationType;
  symmetricKey?: SymmetricKey | null;
  x509Thumbprint?: X509Thumbprint | null;
};

export type IdentityStatus = "enabled" | "disabled";
export type ConnectionState = "Connected" | "Disconnected";

/** Times are ISO 8601 text; `0001-01-01T00:00:00` means never. */
export type Device = {
  deviceId: string;
  generationId: string;
  /** Unquoted. */
  etag: string;
  status: IdentityStatus;
  statusReason?: string | null;
  statusUpdatedTime: string;
  connectionState: ConnectionState;
  connectionStateUpdatedTime: string;
  lastActivityTime: string;
  cloudToDeviceMessageCount: number;
  authentication: AuthenticationMechanism & { type: AuthenticationType };
  capabilities: { iotEdge: boolean };
  deviceScope?: string;
  parentScopes?: string[];
};

export type Module = {
  deviceId: string;
  moduleId: string;
  managedBy?: string | null;
  generationId: string;
  /** Unquoted. */
  etag: string;
  connectionState: ConnectionState;
  connectionStateUpdatedTime: string;
  lastActivityTime: string;
  cloudToDeviceMessageCount: number;
  authentication: AuthenticationMechanism & { type: AuthenticationType };
};

/** What can be written of a device. */
export type DeviceWrite = {
  deviceId: string;
  status?: IdentityStatus;
  statusReason?: string | null;
  /** Left out, the hub makes two new keys. */
  authentication?: AuthenticationMechanism;
  capabilities?: { iotEdge: boolean };
  deviceScope?: string;
  parentScopes?: string[];
};

/** What can be written of a module. */
export type ModuleWrite = {
  deviceId: string;
  moduleId: string;
  managedBy?: string | null;
  /** Left out, the hub makes two new keys. */
  authentication?: AuthenticationMechanism;
};

/** A section of a twin with its version and, per member, when it changed. */
export type TwinSection = {
  $version: number;
  $metadata?: Record<string, unknown>;
  [name: string]: unknown;
};

export type Twin = {
  deviceId: string;
  moduleId?: string;
  /** Unquoted. Moves with tags and desired properties, not with reported ones. */
  etag: string;
  deviceEtag?: string;
  status?: IdentityStatus;
  statusReason?: string | null;
  connectionState?: ConnectionState;
  lastActivityTime?: string;
  cloudToDeviceMessageCount?: number;
  authenticationType?: AuthenticationType;
  modelId?: string;
  version: number;
  tags?: Record<string, unknown>;
  properties: { desired: TwinSection; reported: TwinSection };
  capabilities?: { iotEdge: boolean };
};

/** What can be written of a twin; in a patch, null deletes. */
export type TwinPatch = {
  tags?: Record<string, unknown> | null;
  properties?: { desired?: Record<string, unknown> | null };
};

export type MethodResult = { status: number; payload: unknown };

export type DeviceStatistics = {
  totalDeviceCount: number;
  enabledDeviceCount: number;
  disabledDeviceCount: number;
};
export type ServiceStatistics = { connectedDeviceCount: number };
export type PurgeResult = {
  deviceId: string;
  moduleId: string | null;
  totalMessagesPurged: number;
};

export type ImportMode =
  | "create"
  | "update"
  | "updateIfMatchETag"
  | "delete"
  | "deleteIfMatchETag"
  | "updateTwin"
  | "updateTwinIfMatchETag";

/** One line of a bulk import. */
export type BulkEntry = {
  id: string;
  moduleId?: string;
  importMode: ImportMode;
  eTag?: string;
  status?: IdentityStatus;
  statusReason?: string | null;
  authentication?: AuthenticationMechanism;
  capabilities?: { iotEdge: boolean };
  twinETag?: string;
  tags?: Record<string, unknown>;
  properties?: { desired?: Record<string, unknown>; reported?: Record<string, unknown> };
};

export type BulkError = {
  deviceId: string;
  moduleId?: string | null;
  errorCode: string | number;
  errorStatus: string;
  operation?: string;
};
export type BulkWarning = { deviceId: string; warningCode: string; warningStatus: string };
export type BulkResult = {
  isSuccessful: boolean;
  errors: BulkError[];
  warnings: BulkWarning[];
};

export type FeedbackStatus =
  | "Success"
  | "Expired"
  | "DeliveryCountExceeded"
  | "Rejected"
  | "Purged";

/** What became of one cloud-to-device message. */
export type FeedbackRecord = {
  /** The message id its sender gave. */
  originalMessageId: string;
  /** When it was decided. */
  enqueuedTimeUtc: string;
  statusCode: FeedbackStatus;
  description: string;
  deviceId: string;
  deviceGenerationId: string;
};

/** A device, or one of its modules. */
export type Ref = string | { readonly deviceId: string; readonly moduleId?: string | undefined };

/** What every call takes. */
export type CallOptions = {
  /** Ends the call with `call.aborted`. */
  signal?: AbortSignal | undefined;
  /** Until the call has its answer, retries included. Default 30 s; of a method call, its own time-outs and 10 s. */
  timeoutMs?: number | undefined;
};
