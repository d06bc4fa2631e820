export { createHub, startHub } from "./hub.ts";
export type { HubConfig, HubLimits, RetentionConfig } from "./config.ts";
export type { Hub, InvokeOptions, NewDevice, SendOptions } from "./hub-types.ts";
export type { HubFile } from "./hub-file.ts";
export { isDataDirectoryLocked } from "./data-directory.ts";
export { createMemoryStores } from "./stores/memory/index.ts";
export type {
  Fault,
  MemoryImage,
  MemoryStores,
  MemoryStoresOptions,
  Schedule,
  StoreOperation,
} from "./stores/memory/index.ts";
export { createLogger } from "./observe/index.ts";
export type { LogFormat, LogLevel } from "./observe/index.ts";
export type { Logger } from "./domain/observe.ts";
export type * from "./domain/ports.ts";
export type {
  Authentication,
  Identity,
  IdentityRef,
  IdentityWrite,
  TelemetryEvent,
  TelemetryReader,
} from "./domain/services.ts";
// Not by the folder's index, whose declarations lead to those of the X.509 library, which need a browser's types.
export { issueDeviceCertificate, makeDeviceCa } from "./tls/device-certificates.ts";
export type { PemPair } from "./tls/pem-pair.ts";
