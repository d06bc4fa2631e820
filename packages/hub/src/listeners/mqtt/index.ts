export { createMqttListener } from "./listener.ts";
export type { MqttListener, MqttListenerOptions } from "./listener.ts";
export { defaultMqttLimits } from "./limits.ts";
export type { MqttLimits } from "./limits.ts";
