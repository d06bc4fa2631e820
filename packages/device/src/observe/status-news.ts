import type { IotError } from "@hubwire/protocol";
import type { Endpoint } from "../connection/endpoint.ts";
import type { DeviceStatus } from "../connection/status.ts";
import { channels } from "./channels.ts";
import type { DeviceRef } from "./channels.ts";
import type { Counters, DeviceStats } from "./stats.ts";

export const deviceRef = ({ hostName, identity }: Endpoint): DeviceRef => ({
  hostName,
  deviceId: identity.deviceId,
  moduleId: identity.moduleId,
});

/** Tells the channels what the changes of a client's status mean. */
export class StatusNews {
  readonly #stats: Counters;
  readonly #snapshot = (): DeviceStats => this.#stats.snapshot();
  /** Whether a connection stands, or stood until its renewal. */
  #state: DeviceStatus["state"] = "connecting";
  #noted: IotError | undefined;
  /** Of the latest connection: the same object as long as it is the same connection. */
  #since: Date | undefined;

  constructor(stats: Counters) {
    this.#stats = stats;
    if (channels.opened.hasSubscribers) {
      channels.opened.publish({ device: stats.device, stats: this.#snapshot });
    }
  }

  tell(status: DeviceStatus, endpoint: Endpoint): void {
    const before = this.#state;
    this.#state = status.state;
    switch (status.state) {
      case "connected":
        return this.#connected(status, before, endpoint);
      case "renewing":
        if (channels.renewal.hasSubscribers) {
          const { device } = this.#stats;
          channels.renewal.publish({ device, expiresAt: status.tokenExpiresAt });
        }
        return;
      case "waiting":
        return this.#down(status, before);
      case "closed":
        return this.#closed(undefined);
      case "failed":
        return this.#closed(status.cause);
      case "provisioning":
      case "connecting":
    }
  }

  #connected(
    status: DeviceStatus & { state: "connected" },
    before: DeviceStatus["state"],
    endpoint: Endpoint,
  ): void {
    if (before === "connected" || status.since === this.#since) {
      // The same connection; something else was noted about it, or what should have replaced it was refused.
      if (status.cause !== undefined && status.cause !== this.#noted) {
        this.#noted = status.cause;
        this.#error(status.cause);
      }
      return;
    }
    this.#noted = undefined;
    this.#since = status.since;
    // Provisioning may have given the device another hub, or another name.
    this.#stats.device = deviceRef(endpoint);
    if (!channels.connected.hasSubscribers) return;
    const { device } = this.#stats;
    const renewed = before === "renewing";
    channels.connected.publish({ device, sessionPresent: status.sessionPresent, renewed });
  }

  #down(status: DeviceStatus & { state: "waiting" }, before: DeviceStatus["state"]): void {
    const { device } = this.#stats;
    const { attempt, cause } = status;
    if (before === "connected" || before === "renewing") {
      if (channels.disconnected.hasSubscribers) channels.disconnected.publish({ device, cause });
    } else if (channels.connectFailed.hasSubscribers) {
      channels.connectFailed.publish({ device, attempt, cause });
    }
  }

  #closed(cause: IotError | undefined): void {
    if (channels.closed.hasSubscribers) {
      channels.closed.publish({ device: this.#stats.device, cause, stats: this.#snapshot });
    }
  }

  #error(error: IotError): void {
    if (!channels.error.hasSubscribers) return;
    channels.error.publish({ device: this.#stats.device, where: "connection", error });
  }
}
