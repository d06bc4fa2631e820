import type { CallWaits } from "./call-waits.ts";

/** The public call behind a message, for error texts. */
export const callOf = (waits: CallWaits): string =>
  waits === "accepted" ? "enqueue" : "sendTelemetry";

/** The executor runs inside `new Promise`, so one shared function can carry both of its arguments out. */
let latestResolve: (value: unknown) => void = () => undefined;
let latestReject: (error: Error) => void = () => undefined;
const capture = (resolve: (value: unknown) => void, reject: (error: Error) => void): void => {
  latestResolve = resolve;
  latestReject = reject;
};

/** A promise whose functions go to `holder`: no closure is made for it. */
export function promiseFor(holder: {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}): Promise<unknown> {
  const promise = new Promise(capture);
  holder.resolve = latestResolve;
  holder.reject = latestReject;
  return promise;
}
