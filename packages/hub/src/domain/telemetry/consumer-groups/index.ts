export { createConsumerGroups } from "./consumer-groups.ts";
export type { ConsumerGroups } from "./consumer-groups.ts";
