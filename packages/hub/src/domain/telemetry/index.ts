export { TelemetryIngest } from "./ingest.ts";
export type { TelemetryLimits } from "./ingest.ts";
export type { OtherTopic, TelemetryPublisher, TelemetrySink } from "./publisher.ts";
export { createTelemetryReader } from "./reader.ts";
export { decodeRecord, startsWith } from "./record.ts";
export type { RecordHead } from "./record.ts";
export { eventProperties } from "./reader.ts";
export { pacedLog } from "./paced-commits.ts";
export type { ReaderLog } from "./reader.ts";
