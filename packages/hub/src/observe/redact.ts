import { catalog } from "@hubwire/protocol";
import type { Logger } from "../domain/observe.ts";

/** Facts are few and short; what is longer is a mistake, or somebody's attempt to fill the log. */
const textCharactersMax = 1000;
const listMax = 50;
const depthMax = 3;

const secretName =
  /key|token|password|passphrase|secret|signature|authorization|credential|connectionString/i;
/** The parts of connection strings and tokens that are secret, wherever they turn up in a text. */
const secretPart =
  /(SharedAccessKey=|SharedAccessSignature=?\s*|\bsig=|Bearer\s+|Basic\s+)[^\s;&",}]+/gi;
/** The catalogue's own words show what a token looks like, and hold none. */
const advice: ReadonlySet<string> = new Set(Object.values(catalog).map(({ remedy }) => remedy));
const pemKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;

const redacted = "[redacted]";

/**
 * What of a fact may be logged. By construction: names that sound like secrets lose their value, texts lose what looks
 * like one, bytes become their count, and nothing deep or long gets through.
 */
function loggable(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return cleanText(value);
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (value === null || value === undefined) return value;
  if (typeof value === "bigint") return String(value);
  if (value instanceof Error) return loggableError(value, depth);
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (depth >= depthMax) return typeof value;
  if (Array.isArray(value)) return value.slice(0, listMax).map((item) => loggable(item, depth + 1));
  if (typeof value === "object") return loggableFacts(value, depth + 1);
  return typeof value;
}

export function loggableFacts(facts: object, depth = 0): Record<string, unknown> {
  const clean: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(facts)) {
    if (value === undefined) continue;
    clean[name] = secretName.test(name) ? redacted : loggable(value, depth);
  }
  return clean;
}

/** Somebody else's logger behind the same cleaning: where lines go is its affair, what is in them is not. */
export function cleanLogger(logger: Logger): Logger {
  const clean =
    (level: keyof Logger) =>
    (facts: object, message: string): void =>
      logger[level](loggableFacts(facts), cleanText(message));
  return {
    debug: clean("debug"),
    info: clean("info"),
    warn: clean("warn"),
    error: clean("error"),
  };
}

/** A text without secrets, short enough for a line. */
export function cleanText(text: string): string {
  if (advice.has(text)) return text;
  const short = text.length > textCharactersMax ? `${text.slice(0, textCharactersMax)}…` : text;
  return short.replaceAll(secretPart, `$1${redacted}`).replaceAll(pemKey, redacted);
}

function loggableError(error: Error, depth: number): Record<string, unknown> {
  const { code, remedy } = error as { code?: unknown; remedy?: unknown };
  return {
    name: error.name,
    message: cleanText(error.message),
    ...(typeof code === "string" && { code }),
    ...(typeof remedy === "string" && { remedy }),
    // Where a foreseen error was made is no news.
    ...(error.name !== "IotError" &&
      error.stack !== undefined && { stack: cleanText(error.stack) }),
    ...(error.cause !== undefined &&
      depth < depthMax && { cause: loggable(error.cause, depth + 1) }),
  };
}
