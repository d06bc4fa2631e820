/** The Device Provisioning Service over MQTT: text and one machine. A subpath, because few devices need it at start. */
export * from "./dps-identity.ts";
export * from "./dps-topics.ts";
export * from "./group-key.ts";
export * from "./provisioning-machine.ts";
export * from "./refusal.ts";
export * from "./register-body.ts";
export * from "./registration.ts";
export * from "./registration-id.ts";
