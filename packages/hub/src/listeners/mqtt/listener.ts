import { randomInt } from "node:crypto";
import { IotError } from "@hubwire/protocol";
import type { ByteStream } from "@hubwire/transport";
import { defaultMqttLimits } from "./limits.ts";
import type { MqttLimits } from "./limits.ts";
import type { MqttParts } from "./parts.ts";
import { Reception } from "./reception.ts";
import type { House } from "./reception.ts";

export type MqttListenerOptions = Omit<
  MqttParts,
  "limits" | "strict" | "randomPacketId" | "onModel"
> & {
  limits?: Partial<MqttLimits>;
  /** What happens to filters and topics the hub does not serve: the connection ends, as on Azure (default), or they are ignored. */
  strictness?: "strict" | "lenient";
  randomPacketId?: () => number;
  onModel?: NonNullable<MqttParts["onModel"]>;
};

export type MqttListener = {
  /** Takes over a stream that speaks MQTT: TLS, WebSocket, or memory in tests. Pass it to `listenTls` as `onStream`. */
  handleStream(stream: ByteStream): void;
  /** Streams that are open, admitted or not. */
  readonly streams: number;
  /**
   * Takes no new streams and reads no more; finishes what was taken in (commits, PUBACKs, SUBACKs) as long as
   * `stopTimeoutMs` allows; closes every connection, which publishes wills, and waits for these too.
   */
  stop(): Promise<void>;
};

export function createMqttListener(options: MqttListenerOptions): MqttListener {
  const parts: MqttParts = {
    ...options,
    limits: { ...defaultMqttLimits, ...options.limits },
    strict: options.strictness !== "lenient",
    randomPacketId: options.randomPacketId ?? (() => randomInt(1, 65_536)),
    onModel: options.onModel,
  };
  const { limits, clock, logger, metrics, telemetry } = parts;
  const receptions = new Set<Reception>();
  let lastConnectionId = 0;
  let stopped: Promise<void> | undefined;

  const house: House = {
    closedFor() {
      if (stopped !== undefined) return new IotError("hub.stopping", "The hub is stopping");
      if (metrics.connections < limits.connectionsMax) return undefined;
      return new IotError("hub.busy", `The hub has ${limits.connectionsMax} connections already`);
    },
    nextConnectionId: () => ++lastConnectionId,
    onGone: (reception) => receptions.delete(reception),
  };

  /** Whatever comes first; a stop must not hang on a client or a disk that does. */
  const atMost = async (work: Promise<unknown>, untilMs: number): Promise<boolean> => {
    let timer: { cancel(): void } | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = clock.at(untilMs, () => resolve(false));
    });
    const inTime = await Promise.race([work.then(() => true), late]);
    timer?.cancel();
    return inTime;
  };

  const stop = async (): Promise<void> => {
    const untilMs = clock.nowMs() + limits.stopTimeoutMs;
    const work = [...receptions].map((reception) => reception.finishWork());
    const finished = await atMost(Promise.all([...work, telemetry.settled()]), untilMs);
    for (const reception of receptions) reception.close("hub.stopping", "The hub is stopping");
    const stored = await atMost(telemetry.settled(), untilMs + limits.stopTimeoutMs);
    if (finished && stored) return;
    logger.warn({ event: "stop_unfinished" }, "Not all accepted work was finished in time");
  };

  return {
    handleStream(stream) {
      if (stopped !== undefined || receptions.size >= limits.streamsMax) return stream.destroy();
      const reception = new Reception(parts, house, stream);
      receptions.add(reception);
      reception.start();
    },
    get streams() {
      return receptions.size;
    },
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}
