export { createLogger, logFormats, logLevels } from "./logger.ts";
export type { LogFormat, LogLevel, LogSink } from "./logger.ts";
export { createMetricsText } from "./metrics.ts";
