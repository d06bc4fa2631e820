import type { ConnectRequest, IotError } from "@hubwire/protocol";
import type { Credential } from "../credentials/provider.ts";
import type { Settings } from "../options/settings.ts";
import { closeError, refusalError } from "./refusal.ts";
import type { TrialFailure } from "./trial.ts";

/** What CONNECT says with this credential. No will: IoT Hub publishes it as telemetry. */
export function connectRequest(settings: Settings, credential: Credential): ConnectRequest {
  const { endpoint, cleanSession, keepAliveS } = settings;
  const { clientId, username } = endpoint;
  const { password } = credential;
  return { clientId, username, password, cleanSession, keepAliveS, will: undefined };
}

/** CONNACK with a return code other than 0. */
export function connectRefusal(
  settings: Settings,
  returnCode: number,
  credential: Credential | undefined,
): IotError {
  const { endpoint, clock, skew } = settings;
  const { hostName, clientId } = endpoint;
  return refusalError(returnCode, {
    hostName,
    clientId,
    wallMs: clock.wallMs(),
    tokenExpiresAtMs: credential?.expiresAtMs ?? Infinity,
    clockSkew: skew.words,
  });
}

/** A trial that did not end with CONNACK 0. */
export const trialError = (
  settings: Settings,
  credential: Credential,
  failure: TrialFailure,
): IotError =>
  "returnCode" in failure
    ? connectRefusal(settings, failure.returnCode, credential)
    : closeError(failure.cause, false);
