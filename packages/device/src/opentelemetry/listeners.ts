import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { channelName } from "../observe/channels.ts";
import type { DeviceEventName, DeviceEvents } from "../observe/channels.ts";

/** Subscriptions that end together. What a listener throws is a warning, said once: metrics must not end a device's program. */
export class Listeners {
  readonly #ends: (() => void)[] = [];
  #hasWarned = false;

  on<Name extends DeviceEventName>(
    name: Name,
    listener: (event: DeviceEvents[Name]) => void,
  ): void {
    const guarded = (event: unknown): void => {
      try {
        listener(event as DeviceEvents[Name]);
      } catch (error) {
        this.#warn(error);
      }
    };
    subscribe(channelName(name), guarded);
    this.#ends.push(() => unsubscribe(channelName(name), guarded));
  }

  stop(): void {
    for (const end of this.#ends.splice(0)) end();
  }

  #warn(error: unknown): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    process.emitWarning(`OpenTelemetry instrumentation failed: ${String(error)}`, "HubwireWarning");
  }
}
