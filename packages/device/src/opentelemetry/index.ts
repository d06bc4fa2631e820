import type { Attributes, Meter, Tracer } from "@opentelemetry/api";
import type { DeviceRef } from "../observe/channels.ts";
import { version } from "../version.ts";
import { Listeners } from "./listeners.ts";
import { recordMetrics } from "./metrics.ts";
import { recordSpans } from "./spans.ts";

export type InstrumentOptions = {
  /** Default, when no tracer is given either: the global one of `@opentelemetry/api`. */
  meter?: Meter;
  /** Default, when no meter is given either: the global one of `@opentelemetry/api`. */
  tracer?: Tracer;
  /**
   * What tells devices apart. Default `hubwire.hub` and `hubwire.device.id` (and `hubwire.module.id`): where one process
   * runs thousands of devices, return less.
   */
  attributes?: (device: DeviceRef) => Attributes;
};

export type Instrumentation = {
  /** Stops recording. */
  stop(): void;
};

/**
 * Records what all device clients of this process do as OpenTelemetry metrics and spans. Call it before `connect`; clients
 * that exist already are not counted.
 *
 *     import { instrument } from "@hubwire/device/opentelemetry";
 *     await instrument();
 *
 * Metrics are named `hubwire.device.*`: everything in `client.stats()`, and histograms of round trips, methods and twin
 * requests in seconds. Spans: direct methods, twin requests, outages. With a meter or tracer passed in, recording begins
 * before the call returns and `@opentelemetry/api` is not loaded.
 * @throws Error when neither is given and `@opentelemetry/api` is not installed
 */
export async function instrument(options: InstrumentOptions = {}): Promise<Instrumentation> {
  if (options.meter !== undefined || options.tracer !== undefined) return record(options);
  const { metrics, trace } = await import("@opentelemetry/api");
  const name = "@hubwire/device";
  const meter = metrics.getMeter(name, version);
  const tracer = trace.getTracer(name, version);
  return record({ ...options, meter, tracer });
}

function record({ meter, tracer, attributes }: InstrumentOptions): Instrumentation {
  const listeners = new Listeners();
  const attributesOf = attributes ?? defaultAttributes;
  const end = meter === undefined ? undefined : recordMetrics(meter, listeners, attributesOf);
  if (tracer !== undefined) recordSpans(tracer, listeners, attributesOf);
  return {
    stop: () => {
      listeners.stop();
      end?.();
    },
  };
}

const defaultAttributes = ({ hostName, deviceId, moduleId }: DeviceRef): Attributes => ({
  "hubwire.hub": hostName,
  "hubwire.device.id": deviceId,
  ...(moduleId === undefined ? {} : { "hubwire.module.id": moduleId }),
});
