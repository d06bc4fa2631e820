export { createAmqpListener } from "./listener.ts";
export type { AmqpListener } from "./listener.ts";
export { defaultAmqpLimits } from "./limits.ts";
export type { AmqpLimits } from "./limits.ts";
