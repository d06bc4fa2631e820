import type { CallOptions, FeedbackRecord } from "../types.ts";
import type { Call } from "./caller.ts";
import { expectArray } from "./paths.ts";

/** What became of several messages; locked for this reader until it is settled or the lock ends. */
export type HttpFeedbackBatch = {
  lockToken: string;
  records: FeedbackRecord[];
  /** It does not come again. @throws IotError `service.lock_lost` */
  complete(options?: CallOptions): Promise<void>;
  /** It comes again, at once. @throws IotError `service.lock_lost` */
  abandon(options?: CallOptions): Promise<void>;
};

/** Feedback by asking; `@hubwire/service/amqp` waits for it instead. */
export type HttpFeedback = {
  /** The next batch; undefined when there is none now. */
  receive(options?: CallOptions): Promise<HttpFeedbackBatch | undefined>;
};

const feedbackPath = ["messages", "serviceBound", "feedback"] as const;

export function createHttpFeedback(call: Call): HttpFeedback {
  return {
    async receive(options) {
      const { status, json, header } = await call({ method: "GET", path: feedbackPath }, options);
      if (status === 204 || json === undefined) return undefined;
      const lockToken = (header("etag") ?? "").replaceAll('"', "");
      const lockPath = [...feedbackPath, { id: lockToken }];
      return {
        lockToken,
        records: expectArray(json, "feedback"),
        async complete(how) {
          await call({ method: "DELETE", path: lockPath }, how);
        },
        async abandon(how) {
          await call({ method: "POST", path: [...lockPath, "abandon"] }, how);
        },
      };
    },
  };
}
