import { parseD2cProperties } from "@hubwire/protocol";
import type { SystemProperties } from "@hubwire/protocol";

/** A telemetry message, as a service behind the hub would read it. */
export class ReceivedTelemetry {
  readonly deviceId: string;
  readonly moduleId: string | undefined;
  readonly body: Uint8Array;
  /** Application properties, without prototype. */
  readonly properties: Readonly<Record<string, string>>;
  /** Message id, content type and the like. */
  readonly system: Readonly<SystemProperties>;
  readonly qos: 0 | 1;
  /** Whether the device said that it may have sent this before. */
  readonly duplicate: boolean;
  /** By the fake hub's clock. */
  readonly enqueuedAt: Date;

  /** @throws IotError `topic.bad_property_bag` */
  constructor(
    from: { deviceId: string; moduleId?: string | undefined },
    message: { bag: string; body: Uint8Array; qos: 0 | 1; dup: boolean; wallMs: number },
  ) {
    const { system, application } = parseD2cProperties(message.bag);
    this.deviceId = from.deviceId;
    this.moduleId = from.moduleId;
    this.body = message.body;
    this.properties = application;
    this.system = system;
    this.qos = message.qos;
    this.duplicate = message.dup;
    this.enqueuedAt = new Date(message.wallMs);
  }

  get messageId(): string | undefined {
    return this.system.messageId;
  }

  /** The body as UTF-8 text. */
  text(): string {
    return Buffer.from(this.body).toString("utf8");
  }

  /** The body as JSON. @throws SyntaxError when it is none */
  json(): unknown {
    return JSON.parse(this.text()) as unknown;
  }
}
