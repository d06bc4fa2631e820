import { payloadOf } from "@hubwire/protocol";
import type { ErrorCode, IncomingMessage } from "@hubwire/protocol";
import type { LiveConnection } from "../../domain/services.ts";
import type { OtherTopic } from "../../domain/telemetry/index.ts";
import { AcknowledgedRequest } from "./acknowledged-request.ts";
import type { MqttParts } from "./parts.ts";

/** The connection a request came on. */
export interface Requester extends LiveConnection {
  hasWarnedOfForeign: boolean;
  /** PUBACK at the end of this turn; nothing for receipt 0. */
  ackNow(receipt: number): void;
  track(work: Promise<void>): void;
  close(code: ErrorCode, reason: string): void;
  who(): object;
}

/**
 * What a device publishes beside telemetry. A QoS 1 report is acknowledged when it is stored, which is when it is answered;
 * everything else at once, because nothing of it has to last.
 */
export function handleRequest(
  parts: MqttParts,
  connection: Requester,
  topic: OtherTopic,
  message: IncomingMessage,
): void {
  const { twins, methods, metrics } = parts;
  const { receipt } = message;
  switch (topic.type) {
    case "methodResponse":
      metrics.methodResponses++;
      methods.respond(connection, topic.rid, topic.status, payloadOf(message));
      return connection.ackNow(receipt);
    case "twinGet":
      metrics.twinReads++;
      twins.get(connection, topic.rid);
      return connection.ackNow(receipt);
    case "twinReport": {
      metrics.twinReports++;
      const body = payloadOf(message);
      if (receipt === 0) return twins.report(connection, topic.rid, topic.version, body);
      const stored = new Promise<void>((resolve) => {
        const request = new AcknowledgedRequest(connection, () => {
          connection.ackNow(receipt);
          resolve();
        });
        twins.report(request, topic.rid, topic.version, body);
      });
      return connection.track(stored);
    }
    case "certificateIssue":
      return ignore(parts, connection, message, "certificates are not issued over MQTT");
    case "foreign":
      if (topic.fatal) return ignore(parts, connection, message, topic.why);
      metrics.publishesIgnored++;
      return connection.ackNow(receipt);
  }
}

/** Strict: not ignored at all, the connection ends. */
function ignore(
  parts: MqttParts,
  connection: Requester,
  message: IncomingMessage,
  why: string,
): void {
  const reason = `Publish to ${JSON.stringify(message.topic.slice(0, 200))}: ${why}`;
  if (parts.strict) return connection.close("topic.foreign_publish", reason);
  parts.metrics.publishesIgnored++;
  connection.ackNow(message.receipt);
  if (connection.hasWarnedOfForeign) return;
  connection.hasWarnedOfForeign = true;
  parts.logger.warn(
    { event: "publish_ignored", code: "topic.foreign_publish", reason, ...connection.who() },
    "A publish was ignored; further ones on this connection are only counted",
  );
}
