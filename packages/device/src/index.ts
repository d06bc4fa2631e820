/**
 * A device client for Azure IoT Hub, and for Hubwire's own hub, over MQTT 3.1.1.
 *
 * - telemetry: `sendTelemetry`
 * - cloud-to-device messages: `messages()` or the option `onMessage`
 * - direct methods: `onMethod` or the option `methods`
 * - device twin: `getTwin`, `reportProperties`, `desiredProperties()`
 * - the connection: `status()`, `statusChanges()`, `close()`
 *
 * Errors are `IotError` from `@hubwire/protocol`, exported here too: branch on `code`, show `remedy`.
 */
export { connect } from "./connect.ts";
export type { DeviceClient, ListenOptions } from "./client.ts";
export type { ConnectOptions, DeviceOptions, Identification } from "./options/options.ts";
export type {
  CertificateFiles,
  CertificateText,
  ClientCertificate,
  Credentials,
  Pem,
  Proof,
  RotatingProof,
  SingleProof,
} from "./credentials/credentials.ts";
export type { Secret, SecretSource } from "./credentials/secret.ts";
export type { OnRotated, RotationEnd } from "./credentials/rotation.ts";
export type { RotateOptions } from "./credentials/rotate.ts";
export type {
  Credential,
  CredentialContext,
  CredentialProvider,
  CredentialRequest,
  CredentialScope,
} from "./credentials/provider.ts";
export type { RetryOptions } from "./connection/retry.ts";
export type { IssueOptions } from "./certificates/issue-call.ts";
export type { RenewedCertificate } from "./certificates/issued.ts";
export type { DeviceStatus } from "./connection/status.ts";
export type { Provisioned } from "./connection/provisioner.ts";
export type { Attestation, ProvisioningOptions } from "./provisioning/provisioning-options.ts";
export type { Assignment, AssignmentStore } from "./provisioning/assignment-store.ts";
export type { BudgetStats, DeviceStats, DropReason, LimitStats } from "./observe/stats.ts";
export type { RateLimit, RateLimits } from "./limits/rate-limit.ts";
export type { HistogramSnapshot } from "./observe/histogram.ts";
export type { DeviceEventName, DeviceEvents, DeviceRef } from "./observe/channels.ts";
export type { C2dHandler, C2dMessage, HandlerContext, InputMessage } from "./c2d/c2d-message.ts";
export type { MessageFilter } from "./c2d/handlers.ts";
export type {
  MethodHandler,
  MethodOptions,
  MethodRequest,
  MethodResponse,
} from "./methods/method.ts";
export type { AcknowledgeInput, PlugAndPlay } from "./pnp/plug-and-play.ts";
export type {
  WritableAnswer,
  WritableContext,
  WritableHandler,
  WritableOptions,
} from "./pnp/writables.ts";
export type { SendAllOptions, SendAllResult, TelemetrySource } from "./telemetry/send-all.ts";
export type { Enqueued } from "./telemetry/telemetry.ts";
export type {
  TelemetryBody,
  TelemetryMessage,
  TelemetryOptions,
} from "./telemetry/telemetry-options.ts";
export type { Priority } from "./telemetry/priority.ts";
export type {
  DroppedMessage,
  OutboxBounds,
  OutboxOptions,
  WhenFull,
} from "./outbox/outbox-options.ts";
export type { DesiredChange, Twin } from "./twin/twin.ts";
export type { CachedTwin } from "./twin/twin-cache.ts";
export type { ReportOptions } from "./twin/twin-requests.ts";
export type { CallOptions } from "./calls/pending-call.ts";
export { acknowledgementCode, IotError } from "@hubwire/protocol";
export type { ErrorCode, JsonObject, JsonValue, Sign } from "@hubwire/protocol";
export { publicKeyPin } from "@hubwire/transport";
export type { PinOptions, PinReport, ProxyOption, Transport } from "@hubwire/transport";
