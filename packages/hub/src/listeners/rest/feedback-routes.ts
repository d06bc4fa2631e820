import { IotError } from "@hubwire/protocol";
import type { FeedbackRecord } from "../../domain/services.ts";
import { emptyResponse, jsonResponse } from "./exchange.ts";
import type { Route } from "./route.ts";

/** Azure IoT Hub docs, "Cloud-to-device messages": what a feedback message says it is. */
const feedbackType = "application/vnd.microsoft.iothub.feedback.json; charset=utf-8";

const formatRecord = (record: FeedbackRecord): object => ({
  originalMessageId: record.originalMessageId,
  description: record.statusCode,
  deviceGenerationId: record.deviceGenerationId,
  deviceId: record.deviceId,
  enqueuedTimeUtc: new Date(record.enqueuedAtMs).toISOString(),
  statusCode: record.statusCode,
});

export const receiveFeedback: Route = async ({ services }) => {
  const batch = await services.feedback.receive();
  if (batch === undefined) return emptyResponse(204);
  return jsonResponse(200, batch.records.map(formatRecord), {
    "content-type": feedbackType,
    etag: `"${batch.lockToken}"`,
    "iothub-sequencenumber": String(batch.sequence),
    "iothub-enqueuedtime": new Date(batch.enqueuedAtMs).toISOString(),
    "iothub-deliverycount": String(batch.deliveryCount),
  });
};

/** With or without `reject` the batch is gone: nobody tells the feedback of feedback. */
export const completeFeedback: Route = async ({ match, services }) =>
  settled(await services.feedback.complete(match.params.lockToken));

export const abandonFeedback: Route = async ({ match, services }) =>
  settled(await services.feedback.abandon(match.params.lockToken));

function settled({ ok }: { ok: boolean }): ReturnType<typeof emptyResponse> {
  if (ok) return emptyResponse(204);
  throw new IotError("message.lock_lost", "No batch of feedback is locked with this token");
}
