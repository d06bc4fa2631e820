import { emptyApplicationProperties, IotError } from "@hubwire/protocol";
import type { MessageProperties } from "@hubwire/protocol";
import type { C2dMessage } from "../../domain/services.ts";
import { requestCredit } from "./cbs-link.ts";
import { toAmqpError } from "./conditions.ts";
import type { LinkHost, LinkService } from "./link.ts";
import { idText, isGiven, valueText } from "./message-values.ts";
import type { RheaMessage, RheaReceiver } from "./rhea.ts";

const deviceAddress = /^\/?devices\/([^/]+)\/messages\/devicebound\/?$/i;
const moduleAddress = /^\/?devices\/[^/]+\/modules\/[^/]+\/messages\/devicebound\/?$/i;

/** `/messages/devicebound`: a message is accepted when it is stored, or rejected with the service's condition. */
export function c2dLink(host: LinkHost, link: RheaReceiver): LinkService {
  const need = { kind: "hub" } as const;
  host.grants.require(need);
  link.add_credit(requestCredit);
  let isOpen = true;

  const send = async (message: RheaMessage, isOversize: boolean): Promise<void> => {
    if (isOversize) throw new IotError("message.too_large", "The message is too large for a link");
    const deviceId = deviceOf(message.to);
    await host.parts.c2d.send(deviceId, toC2dMessage(message));
  };

  return {
    need,
    onMessage(message, delivery, isOversize) {
      void send(message, isOversize).then(
        () => {
          if (!isOpen) return;
          delivery.accept();
          link.add_credit(1);
        },
        (error: unknown) => {
          if (!isOpen) return;
          delivery.reject(toAmqpError(error));
          link.add_credit(1);
        },
      );
    },
    dispose() {
      isOpen = false;
    },
  };
}

function deviceOf(to: string | undefined): string {
  const [, encoded] = deviceAddress.exec(to ?? "") ?? [];
  if (encoded !== undefined) {
    try {
      return decodeURIComponent(encoded);
    } catch {
      // Told below.
    }
  }
  throw new IotError(
    "argument.invalid",
    moduleAddress.test(to ?? "")
      ? "Cloud-to-device messages go to devices; to modules only through IoT Edge"
      : "The message's `to` is not /devices/{deviceId}/messages/devicebound",
  );
}

/** AMQP's sections as IoT Hub's properties (Azure IoT Hub docs, "Create and read IoT Hub messages"). */
function toC2dMessage(message: RheaMessage): C2dMessage {
  const system: MessageProperties["system"] = {};
  const application = emptyApplicationProperties();
  const messageId = idText(message.message_id);
  const correlationId = idText(message.correlation_id);
  if (messageId !== undefined) system.messageId = messageId;
  if (correlationId !== undefined) system.correlationId = correlationId;
  if (isGiven(message.user_id)) system.userId = valueText(message.user_id);
  if (isGiven(message.to)) system.to = message.to;
  if (isGiven(message.content_type)) system.contentType = message.content_type;
  if (isGiven(message.content_encoding)) system.contentEncoding = message.content_encoding;
  let ack: string | undefined;
  for (const [name, value] of Object.entries(message.application_properties ?? {})) {
    if (name === "iothub-ack") ack = valueText(value);
    else application[name] = valueText(value);
  }
  const expiry = message.absolute_expiry_time;
  const expiresAtMs = expiry === undefined ? undefined : Number(expiry);
  return { properties: { system, application }, ack, expiresAtMs, body: bodyOf(message.body) };
}

function bodyOf(body: unknown): Uint8Array {
  if (body === undefined || body === null) return new Uint8Array(0);
  if (typeof body === "string") return Buffer.from(body);
  if (Buffer.isBuffer(body)) return body;
  const section = body as { typecode?: number; content?: unknown };
  if (section.typecode === 0x75) {
    const parts = Array.isArray(section.content) ? section.content : [section.content];
    if (parts.every((part) => Buffer.isBuffer(part))) return Buffer.concat(parts);
  }
  throw new IotError("argument.invalid", "The message's body is not of data sections");
}
