import type { FeedbackBatch, FeedbackRecord } from "../../domain/services.ts";
import type { LinkHost, LinkService } from "./link.ts";
import type { Outcome } from "./outgoing.ts";
import { rhea } from "./rhea.ts";
import type { RheaSender } from "./rhea.ts";

/** Azure IoT Hub docs, "Message feedback". */
const contentType = "application/vnd.microsoft.iothub.feedback.json";

/**
 * `/messages/serviceBound/feedback`: one batch per credit. Accepted completes it, released or modified gives it back,
 * rejected drops it; a link that goes gives back what it had not settled.
 */
export function feedbackLink(host: LinkHost, link: RheaSender): LinkService {
  const need = { kind: "hub" } as const;
  host.grants.require(need);
  const { feedback, logger, hubName } = host.parts;
  let isOpen = true;
  let isTaking = false;

  const settle = async (batch: FeedbackBatch, outcome: Outcome): Promise<void> => {
    try {
      if (outcome === "accepted" || outcome === "rejected")
        await feedback.complete(batch.lockToken);
      else await feedback.abandon(batch.lockToken);
    } catch (error) {
      logger.warn({ event: "feedback_unsettled", reason: String(error) }, "Feedback comes again");
    }
  };

  const take = async (): Promise<void> => {
    while (isOpen && link.credit > 0) {
      const batch = await feedback.receive();
      if (batch === undefined) return;
      if (!isOpen) return void (await feedback.abandon(batch.lockToken));
      const payload = rhea.message.encode({
        message_annotations: {
          "iothub-enqueuedtime": rhea.types.wrap_timestamp(batch.enqueuedAtMs),
        },
        message_id: batch.lockToken,
        user_id: Buffer.from(hubName),
        content_type: contentType,
        content_encoding: "utf-8",
        body: rhea.message.data_section(Buffer.from(JSON.stringify(batch.records.map(recordJson)))),
      });
      host.outgoing(link).send(link, payload, (outcome) => {
        void settle(batch, outcome);
      });
    }
  };

  const pump = (): void => {
    if (isTaking || !isOpen || link.credit <= 0 || !host.socket.writable) return;
    isTaking = true;
    void take()
      .catch((error: unknown) => host.detach(link, error))
      .finally(() => {
        isTaking = false;
      });
  };
  const unsubscribe = feedback.onReady(pump);

  return {
    need,
    onRoom: pump,
    dispose() {
      isOpen = false;
      unsubscribe();
    },
  };
}

/** @see Azure IoT Hub docs, "Message feedback": the body of a feedback message */
const recordJson = (record: FeedbackRecord): object => ({
  originalMessageId: record.originalMessageId,
  enqueuedTimeUtc: new Date(record.enqueuedAtMs).toISOString(),
  statusCode: record.statusCode,
  description: record.statusCode,
  deviceId: record.deviceId,
  deviceGenerationId: record.deviceGenerationId,
});
