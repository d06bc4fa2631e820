import type { IotError } from "@hubwire/protocol";

/**
 * What the connection is doing. Only `closed` and `failed` are final; everything else goes on by itself.
 *
 *     connecting ──▶ connected ──▶ renewing ──▶ connected      a token is about to end
 *         ▲  │           │
 *         │  ▼           ▼
 *        waiting ◀───────┘                                      cut, refused or unreachable
 *
 * With the option `provisioning` there may be `provisioning` before `connecting`.
 */
export type DeviceStatus =
  | {
      /** The provisioning service is asked which hub to connect to. */
      state: "provisioning";
      /** 1 for the first try since the last connection. */
      attempt: number;
      cause: IotError | undefined;
    }
  | {
      state: "connecting";
      /** 1 for the first try since the last connection. */
      attempt: number;
      /** Why there is no connection; undefined at the very first attempt. */
      cause: IotError | undefined;
    }
  | {
      state: "connected";
      since: Date;
      /** Whether the hub kept this device's session (subscriptions, unacknowledged messages). */
      sessionPresent: boolean;
      /** When the token of this connection ends, by the device's clock; undefined with X.509. */
      tokenExpiresAt: Date | undefined;
      /**
       * What is wrong although connected: a subscription not granted, a renewal that has to be tried again, a certificate that
       * ends soon, another client with the same id.
       */
      cause: IotError | undefined;
    }
  | {
      state: "renewing";
      /** When the token in use ends, by the device's clock; undefined with X.509. */
      tokenExpiresAt: Date | undefined;
      /** The token is about to end, or what the credential provider announced. */
      why: string;
    }
  | {
      state: "waiting";
      /** Tries since the last connection. */
      attempt: number;
      nextAttemptAt: Date;
      /** "slow" while the hub throttles or refuses, or another client takes the identity: waits are longer then. */
      pace: "usual" | "slow";
      /** Refusals in a row that no waiting heals; the option `retry.refusalsMax` says how many are enough. */
      refusals: number;
      cause: IotError;
    }
  | { state: "closed" }
  | {
      /** The client gave up: `connect()` at its first failure or deadline, or later as the option `retry` says. */
      state: "failed";
      cause: IotError;
    };

/** Whether nothing comes after it. */
export const isFinal = ({ state }: DeviceStatus): boolean =>
  state === "closed" || state === "failed";
