/**
 * For tests of applications: a hub in memory, with virtual time and faults on demand. Not meant for production.
 */
export { fakeHub } from "./fake-hub.ts";
export type { EndFault, FakeConnectOptions, FakeHub, FakeHubOptions } from "./fake-hub.ts";
export type { FakeBody, FakeDevice } from "./fake-device.ts";
export type { C2dOptions, SentC2d } from "./c2d-queue.ts";
export type { MethodAnswer } from "./method-calls.ts";
export type { ReceivedTelemetry } from "./received.ts";
export type { Refusal } from "./faults.ts";
export { TestClock } from "./test-clock.ts";
