export { createFeedback } from "./feedback.ts";
export type { FeedbackQueue, OnFeedback } from "./feedback.ts";
