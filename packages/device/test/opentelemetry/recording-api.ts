import type {
  Attributes,
  BatchObservableCallback,
  Counter,
  Gauge,
  Histogram,
  Meter,
  MeterProvider,
  MetricOptions,
  Observable,
  ObservableCallback,
  Span,
  SpanOptions,
  SpanStatus,
  TimeInput,
  Tracer,
  TracerProvider,
  UpDownCounter,
} from "@opentelemetry/api";

class RecordingObservable implements Observable {
  readonly name: string;
  readonly unit: string | undefined;
  constructor(name: string, options: MetricOptions = {}) {
    this.name = name;
    this.unit = options.unit;
  }
  addCallback(_callback: ObservableCallback): void {
    throw new Error("not used");
  }
  removeCallback(_callback: ObservableCallback): void {
    throw new Error("not used");
  }
}

/** A meter that keeps what it is told. */
export class RecordingMeter implements Meter {
  readonly names = new Map<string, string | undefined>();
  readonly recorded: { name: string; value: number; attributes: Attributes }[] = [];
  readonly #batches = new Set<BatchObservableCallback>();

  #observable(name: string, options?: MetricOptions): Observable {
    this.names.set(name, options?.unit);
    return new RecordingObservable(name, options);
  }
  createObservableCounter(name: string, options?: MetricOptions): Observable {
    return this.#observable(name, options);
  }
  createObservableUpDownCounter(name: string, options?: MetricOptions): Observable {
    return this.#observable(name, options);
  }
  createObservableGauge(name: string, options?: MetricOptions): Observable {
    return this.#observable(name, options);
  }
  createHistogram(name: string, options?: MetricOptions): Histogram {
    this.names.set(name, options?.unit);
    return {
      record: (value, attributes = {}) => void this.recorded.push({ name, value, attributes }),
    };
  }
  createCounter(): Counter {
    throw new Error("not used");
  }
  createUpDownCounter(): UpDownCounter {
    throw new Error("not used");
  }
  createGauge(): Gauge {
    throw new Error("not used");
  }
  addBatchObservableCallback(callback: BatchObservableCallback): void {
    this.#batches.add(callback);
  }
  removeBatchObservableCallback(callback: BatchObservableCallback): void {
    this.#batches.delete(callback);
  }

  get isObserving(): boolean {
    return this.#batches.size > 0;
  }

  /** What a collection would give: name, attributes, value. */
  collect(): { name: string; attributes: Attributes; value: number }[] {
    const seen: { name: string; attributes: Attributes; value: number }[] = [];
    for (const callback of this.#batches) {
      void callback({
        observe: (observable, value, attributes = {}) => {
          seen.push({ name: (observable as RecordingObservable).name, attributes, value });
        },
      });
    }
    return seen;
  }

  /** One number of one collection. */
  value(name: string, attributes: Attributes = {}): number | undefined {
    return this.collect().find(
      (one) =>
        one.name === `hubwire.device.${name}` &&
        Object.entries(attributes).every(([key, value]) => one.attributes[key] === value),
    )?.value;
  }
}

export type RecordedSpan = {
  name: string;
  options: SpanOptions;
  status: SpanStatus | undefined;
  endTime: TimeInput | undefined;
};

/** A tracer that keeps its spans. */
export class RecordingTracer implements Tracer {
  readonly spans: RecordedSpan[] = [];

  startSpan(name: string, options: SpanOptions = {}): Span {
    const recorded: RecordedSpan = { name, options, status: undefined, endTime: undefined };
    this.spans.push(recorded);
    const span: Span = {
      spanContext: () => ({ traceId: "0".repeat(32), spanId: "0".repeat(16), traceFlags: 0 }),
      setAttribute: () => span,
      setAttributes: () => span,
      addEvent: () => span,
      addLink: () => span,
      addLinks: () => span,
      setStatus: (status) => {
        recorded.status = status;
        return span;
      },
      updateName: () => span,
      end: (endTime) => {
        recorded.endTime = endTime;
      },
      isRecording: () => true,
      recordException: () => undefined,
    };
    return span;
  }

  startActiveSpan(): never {
    throw new Error("not used");
  }
}

export const meterProvider = (meter: Meter): MeterProvider => ({ getMeter: () => meter });
export const tracerProvider = (tracer: Tracer): TracerProvider => ({ getTracer: () => tracer });
