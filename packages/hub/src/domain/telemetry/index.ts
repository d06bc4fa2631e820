export { TelemetryIngest } from "./ingest.ts";
export type { TelemetryLimits } from "./ingest.ts";
export type { OtherTopic, TelemetryPublisher, TelemetrySink } from "./publisher.ts";
export { createTelemetryReader } from "./reader.ts";
