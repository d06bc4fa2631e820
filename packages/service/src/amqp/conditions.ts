import { IotError, catalog } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";

/** An AMQP error as it comes over the wire. */
export type Condition = {
  condition?: string | undefined;
  description?: string | undefined;
  info?: Record<string, unknown> | undefined;
};

/** What conditions mean wherever they appear; a caller may know better for some. */
const codes: Readonly<Record<string, ErrorCode>> = {
  "amqp:not-found": "service.unknown_address",
  "amqp:unauthorized-access": "service.unauthorized",
  "amqp:resource-limit-exceeded": "quota.throttled",
  "amqp:link:message-size-exceeded": "message.too_large",
  "amqp:link:stolen": "service.link_stolen",
  "amqp:internal-error": "service.unavailable",
  "amqp:not-allowed": "service.refused",
  "amqp:not-implemented": "service.refused",
  "amqp:invalid-field": "argument.invalid",
  "com.microsoft:argument-error": "argument.invalid",
  "com.microsoft:argument-out-of-range": "argument.invalid",
  "com.microsoft:device-container-throttled": "quota.throttled",
  "com.microsoft:server-busy": "hub.busy",
  "com.microsoft:timeout": "service.unavailable",
  "com.microsoft:quota-exceeded": "quota.throttled",
  "com.microsoft:message-lock-lost": "service.lock_lost",
  "com.microsoft:iot-hub-suspended": "service.refused",
  "com.microsoft:iot-hub-not-found-error": "service.unauthorized",
};

/** The error's `cause`: the peer's own words. */
export class AmqpRefusal extends Error {
  override readonly name = "AmqpRefusal";
  /** Such as `amqp:not-found`; "" when the peer gave none. */
  readonly condition: string;
  readonly info: Readonly<Record<string, unknown>>;
  constructor({ condition, description, info }: Condition) {
    super(description ?? condition ?? "no reason given");
    this.condition = condition ?? "";
    this.info = info ?? {};
  }
}

/**
 * What a peer's error means. A Hubwire hub may name the catalogue's code in `info`; else the condition decides, by `known`
 * first; else it is `otherwise`.
 */
export function conditionError(
  what: string,
  error: Condition | undefined,
  { known = {}, otherwise }: { known?: Readonly<Record<string, ErrorCode>>; otherwise: ErrorCode },
): IotError {
  const cause = new AmqpRefusal(error ?? {});
  const named = cause.info["hubwire-errorcode"];
  const isNamed = typeof named === "string" && Object.hasOwn(catalog, named);
  const code = isNamed
    ? (named as ErrorCode)
    : (known[cause.condition] ?? codes[cause.condition] ?? otherwise);
  const condition = cause.condition === "" ? "" : `${cause.condition}: `;
  return new IotError(code, `${what}: ${condition}${cause.message.slice(0, 500)}`, { cause });
}
