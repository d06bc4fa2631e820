export { createFeedback } from "./feedback.ts";
export type { FeedbackOptions, FeedbackQueue, OnFeedback } from "./feedback.ts";
