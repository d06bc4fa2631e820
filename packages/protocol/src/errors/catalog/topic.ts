import { group } from "./entry.ts";

export const topicErrors = group({});
