import type { QueuedMessage } from "../ports.ts";
import type { FeedbackRecord, IdentityRef } from "../services.ts";

/** What became of one message, and where the message is. */
export type PendingFeedback = FeedbackRecord & { queue: string; sequence: number };

/** A queue's key is `deviceId@generationId`, or `deviceId/moduleId@generationId`; ids may contain `@`, generation ids do not. */
export function splitQueueKey(queue: string): { ref: IdentityRef; generationId: string } {
  const at = queue.lastIndexOf("@");
  const [deviceId = "", moduleId] = queue.slice(0, at).split("/");
  return { ref: { deviceId, moduleId }, generationId: queue.slice(at + 1) };
}

export function readFeedback(queue: string, message: QueuedMessage): PendingFeedback {
  const { system } = message.properties as { system: { messageId?: string } };
  const { ref, generationId } = splitQueueKey(queue);
  return {
    queue,
    sequence: message.sequence,
    originalMessageId: system.messageId ?? "",
    deviceId: ref.deviceId,
    deviceGenerationId: generationId,
    // Without an outcome it was written by a hub that knew only one.
    statusCode: (message.lockToken as FeedbackRecord["statusCode"] | undefined) ?? "Success",
    enqueuedAtMs: message.lockedUntilMs ?? message.enqueuedAtMs,
  };
}
