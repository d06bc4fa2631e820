export { cleanLogger } from "./redact.ts";
export { createLogger, logFormats, logLevels } from "./logger.ts";
export type { LogFormat, LogLevel } from "./logger.ts";
export { createMetricsText } from "./metrics.ts";
