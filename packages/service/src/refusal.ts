import { IotError, catalog, hubErrorCodes } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";

/** What the hub answered when it refused; the `cause` of the error that the caller gets. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  /** HTTP status. */
  readonly status: number;
  /** The service's name for it, such as `DeviceNotFound`; "" when it gave none. */
  readonly errorName: string;
  /** The service's number, such as 404001; undefined when it gave none. */
  readonly number: number | undefined;
  /** What to quote to whoever runs the hub. */
  readonly trackingId: string | undefined;
  constructor(message: string, facts: Omit<RefusalFacts, "words">) {
    super(message);
    this.status = facts.status;
    this.errorName = facts.errorName;
    this.number = facts.number;
    this.trackingId = facts.trackingId;
  }
}

type RefusalFacts = {
  status: number;
  errorName: string;
  number: number | undefined;
  trackingId: string | undefined;
  words: string;
};

/** The service's names that are one code of ours. What is not here is told by its status. */
const codeOfName: Readonly<Record<string, ErrorCode>> = {
  ArgumentInvalid: "argument.invalid",
  ArgumentNull: "argument.invalid",
  DeviceNotFound: "device.not_found",
  DeviceAlreadyExists: "device.already_exists",
  DeviceNotOnline: "device.not_online",
  ModuleNotFound: "module.not_found",
  ModuleAlreadyExistsOnDevice: "module.already_exists",
  TooManyModulesOnDevice: "device.too_many_modules",
  PreconditionFailed: "etag.mismatch",
  GatewayTimeout: "method.timeout",
  GenericBadGateway: "method.bad_response",
  DeviceMaximumInflightMethodExceeded: "method.too_many_in_flight",
  MessageTooLarge: "message.too_large",
  InvalidMessageExpiryTime: "message.bad_expiry",
  DeviceMaximumQueueDepthExceeded: "quota.queue_full",
  ThrottlingException: "quota.throttled",
  ThrottleBacklogLimitExceeded: "quota.throttled",
  ThrottlingBacklogTimeout: "quota.throttled",
  GenericTooManyRequests: "quota.throttled",
  GenericRequestEntityTooLarge: "request.too_large",
  InvalidProtocolVersion: "request.api_version",
  GenericUnsupportedMediaType: "request.content_type",
  DeviceMessageLockLost: "service.lock_lost",
  IotHubUnauthorized: "service.unauthorized",
  IotHubUnauthorizedAccess: "service.unauthorized",
  GenericUnauthorized: "service.unauthorized",
};

function codeOfStatus(status: number): ErrorCode {
  if (status === 401) return "service.unauthorized";
  if (status === 412) return "etag.mismatch";
  if (status === 413) return "request.too_large";
  if (status === 429) return "quota.throttled";
  return status >= 500 ? "service.unavailable" : "service.refused";
}

/**
 * An answer that is no success, as an error. A Hubwire hub names the catalogue's code in `hubwire-errorcode`; elsewhere the
 * name or number of the service's own envelope (its forms A, B and C) decides, else the status.
 */
export function refused(
  asked: { method: string; path: string },
  answer: { status: number; header(name: string): string | undefined; text: string },
): IotError {
  const facts = read(answer);
  const named = answer.header("hubwire-errorcode");
  const words = facts.words.slice(0, 500);
  if (named !== undefined && Object.hasOwn(catalog, named)) {
    const message = words === "" ? `The hub answered ${facts.status}` : words;
    return new IotError(named as ErrorCode, message, { cause: new Refusal(message, facts) });
  }
  const code = codeOfName[facts.errorName] ?? codeOfStatus(facts.status);
  const said = words === "" ? "" : `: ${words}`;
  const message = `The hub answered ${asked.method} ${asked.path} with ${facts.status}${said}`;
  return new IotError(code, message, { cause: new Refusal(message, facts) });
}

function read(answer: {
  status: number;
  header(name: string): string | undefined;
  text: string;
}): RefusalFacts {
  const body = bodyOf(answer.text);
  const named = /^ErrorCode:(?<name>\w+);?(?<rest>[\s\S]*)$/u.exec(body.words);
  const { number } = body;
  return {
    status: answer.status,
    errorName: answer.header("iothub-errorcode") ?? named?.groups?.["name"] ?? nameOf(number) ?? "",
    number,
    trackingId: body.trackingId ?? answer.header("x-ms-request-id"),
    words: named?.groups?.["rest"] ?? body.words,
  };
}

const nameOf = (number: number | undefined): string | undefined =>
  number === undefined ? undefined : (hubErrorCodes as Record<number, string>)[number];

type Body = { words: string; number: number | undefined; trackingId: string | undefined };

function bodyOf(text: string): Body {
  const outer = objectIn(text);
  // Not JSON: a proxy's page, or nothing at all. It is shown as it is.
  if (outer === undefined) return { words: text, number: undefined, trackingId: undefined };
  const words = textOf(outer["Message"]) ?? textOf(outer["message"]) ?? text;
  const tracking = /^Tracking ID:(.+?)-TimeStamp:/u.exec(textOf(outer["ExceptionMessage"]) ?? "");
  const inner = words.startsWith("{") ? objectIn(words) : undefined;
  const facts = inner ?? outer;
  const number = facts["errorCode"];
  return {
    words: inner === undefined ? words : (textOf(inner["message"]) ?? words),
    number: typeof number === "number" ? number : undefined,
    trackingId: textOf(facts["trackingId"]) ?? tracking?.[1],
  };
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" ? value : undefined;
