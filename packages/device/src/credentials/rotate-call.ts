import type { IotError } from "@hubwire/protocol";
import type { Deadlines } from "../calls/deadlines.ts";
import { timedOut } from "../calls/errors.ts";
import { PendingCall } from "../calls/pending-call.ts";
import { checkNumber } from "../options/bounds.ts";
import type { Settings } from "../options/settings.ts";
import type { SingleProof } from "./credentials.ts";
import type { RotateOptions } from "./rotate.ts";

/** Offers another credential, for as long as somebody waits for what comes of it. */
export async function rotateCredentials(
  settings: Settings,
  deadlines: Deadlines,
  next: SingleProof,
  options: RotateOptions,
): Promise<void> {
  const what = "rotateCredentials";
  const { clock, callTimeoutMs, rotate } = settings;
  const { onRotated, signal, timeoutMs = callTimeoutMs } = options;
  checkNumber("timeoutMs", timeoutMs, 1, 86_400_000);
  const call = new PendingCall<void>(what, clock.nowMs(), timeoutMs, signal);
  if (call.settled) return call.promise;
  const { decided, withdraw } = rotate(next, onRotated);
  deadlines.add(call.deadlineMs, () => call.reject(timedOut(what, timeoutMs)));
  decided.then(
    () => call.resolve(),
    (error: unknown) => call.reject(error as IotError),
  );
  await call.promise.finally(withdraw);
}
