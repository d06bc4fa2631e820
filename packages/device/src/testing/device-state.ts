import { randomBytes } from "node:crypto";
import { freshTwin, twinTimestamp } from "@hubwire/protocol";
import type { DeviceIdentity, JsonObject, ServerSnapshot, TwinDocument } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import { C2dQueue } from "./c2d-queue.ts";
import type { FakeConnection } from "./fake-connection.ts";
import { MethodCalls } from "./method-calls.ts";
import type { ReceivedTelemetry } from "./received.ts";

export type SubscriptionKind = "c2d" | "methods" | "twinResponses" | "desired" | "moduleInputs";

/** What the hub knows of one device or module, between its connections. */
export class DeviceState {
  readonly identity: DeviceIdentity;
  /** Base64. */
  readonly key = randomBytes(32).toString("base64");
  enabled = true;
  twin: TwinDocument;
  readonly c2d: C2dQueue;
  readonly methods: MethodCalls;
  readonly telemetry: ReceivedTelemetry[] = [];
  readonly reports: JsonObject[] = [];
  connects = 0;
  connection: FakeConnection | undefined;
  /** Topic filters in force, and what they mean. */
  subscriptions = new Map<string, { kind: SubscriptionKind; qos: 0 | 1 }>();
  /** What a session that was kept owes the device; undefined when there is no session to resume. */
  session: { unacked: ServerSnapshot } | undefined;

  constructor(identity: DeviceIdentity, clock: Clock) {
    this.identity = identity;
    this.c2d = new C2dQueue(identity, clock);
    this.methods = new MethodCalls(clock);
    this.twin = freshTwin(twinTimestamp(clock.wallMs()));
  }

  /** The QoS of a subscription of the connected device; undefined when there is none. */
  subscribed(kind: SubscriptionKind): 0 | 1 | undefined {
    if (this.connection === undefined) return undefined;
    let found: 0 | 1 | undefined;
    for (const subscription of this.subscriptions.values()) {
      if (subscription.kind === kind && found !== 1) found = subscription.qos;
    }
    return found;
  }
}
