import { aborted } from "../calls/errors.ts";
import { checkNumber } from "../options/bounds.ts";
import type { Settings } from "../options/settings.ts";
import type { Telemetry } from "./telemetry.ts";
import type { TelemetryBody, TelemetryMessage, TelemetryOptions } from "./telemetry-options.ts";

/** Messages one after the other: with their options when they are objects with a `body`, else bodies. */
export type TelemetrySource =
  | AsyncIterable<TelemetryBody | TelemetryMessage>
  | Iterable<TelemetryBody | TelemetryMessage>;

export type SendAllOptions = Omit<TelemetryOptions, "messageId"> & {
  /** What counts as done: "acknowledged" by the hub (default), or "accepted" by the outbox. */
  until?: "acknowledged" | "accepted";
  /** Messages of this source under way at a time; `maxInflight` by default, at most 10,000. */
  concurrentMax?: number;
};

export type SendAllResult = { messages: number };

/** Feeds a client from an iterable, never more at a time than it takes. */
export async function sendAll(
  telemetry: Telemetry,
  settings: Settings,
  source: TelemetrySource,
  { until = "acknowledged", concurrentMax, ...common }: SendAllOptions = {},
): Promise<SendAllResult> {
  const most = concurrentMax ?? settings.maxInflight;
  checkNumber("concurrentMax", most, 1, 10_000);
  const { signal } = common;
  let open = 0;
  let messages = 0;
  let failure: unknown;
  let hasFailed = false;
  let wake: (() => void) | undefined;
  const done = (): void => {
    open -= 1;
    wake?.();
  };
  const failed = (error: unknown): void => {
    if (!hasFailed) failure = error;
    hasFailed = true;
    done();
  };
  const sleep = (): Promise<void> => new Promise((resolve) => (wake = resolve));

  const onAbort = (): void => wake?.();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const item of source) {
      if (signal?.aborted) throw aborted("sendAll", signal);
      const [body, options] = split(item, common);
      let taken = telemetry.offer(body, options, until);
      while (taken === undefined) {
        await telemetry.whenRoom();
        if (signal?.aborted) throw aborted("sendAll", signal);
        taken = telemetry.offer(body, options, until);
      }
      // oxlint-disable-next-line promise/no-callback-in-promise -- shared by all, so that a message costs no closure
      taken.then(done, failed);
      open += 1;
      messages += 1;
      while (open >= most && !hasFailed) await sleep();
      if (hasFailed) throw failure;
    }
    while (open > 0 && !hasFailed) await sleep();
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
  if (hasFailed) throw failure;
  return { messages };
}

/** Bytes, and objects without a `body`, are bodies themselves. */
function split(
  item: TelemetryBody | TelemetryMessage,
  common: TelemetryOptions,
): [TelemetryBody, TelemetryOptions] {
  if (typeof item !== "object" || item === null || !("body" in item)) return [item, common];
  if (item instanceof Uint8Array) return [item, common];
  const { body, ...own } = item as TelemetryMessage;
  return [body, { ...common, ...own }];
}
