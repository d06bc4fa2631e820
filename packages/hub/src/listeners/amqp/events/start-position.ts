import { IotError } from "@hubwire/protocol";
import type { PartitionInfo, TelemetryStart } from "../../../domain/ports.ts";

/** `amqp.annotation.x-opt-… > '…'`; numbers come quoted or not, and names with or without hyphens. */
const expression = /^\s*amqp\.annotation\.(x-opt-[a-z-]+)\s*(>=|>)\s*'?(-?\d{1,19}|@latest)'?\s*$/i;

/** Whether a position behind the newest event is refused, as on Azure, or waited for. */
const refusePositionsAhead = true;

/** The text of the selector filter, whatever it is wrapped in; undefined when there is none. */
export function selectorOf(filter: Record<string, unknown> | undefined): string | undefined {
  for (const [name, value] of Object.entries(filter ?? {})) {
    if (!name.startsWith("apache.org:selector-filter")) continue;
    let text: unknown = value;
    while (typeof text === "object" && text !== null && "value" in text) text = text.value;
    if (typeof text === "string") return text;
    throw new IotError("argument.invalid", "The selector filter is not a text");
  }
  return undefined;
}

/**
 * Where a reader starts, from its selector; without one at the newest event, as on Azure.
 * @throws IotError `argument.invalid`, `amqp.out_of_range`
 */
export function startPosition(selector: string | undefined, info: PartitionInfo): TelemetryStart {
  const latest = { sequenceNumber: info.nextSequenceNumber };
  if (selector === undefined) return latest;
  const [, name, operator, value] = expression.exec(selector) ?? [];
  if (name === undefined || value === undefined) {
    throw new IotError(
      "argument.invalid",
      `The filter ${JSON.stringify(selector.slice(0, 200))} is unknown`,
    );
  }
  if (value === "@latest") return latest;
  const isAfter = operator === ">";
  const number = Number(value);
  const requireKnown = (newest: number, what: string): void => {
    if (!refusePositionsAhead || number <= newest) return;
    throw new IotError(
      "amqp.out_of_range",
      `The supplied ${what} '${value}' is invalid. The last ${what} in the system is '${newest}'`,
    );
  };
  switch (name.toLowerCase()) {
    case "x-opt-offset":
      if (number < 0) return "first";
      requireKnown(Math.max(info.lastOffset, -1), "offset");
      return { offset: isAfter ? number + 1 : number };
    case "x-opt-sequence-number":
      if (number < 0) return "first";
      requireKnown(info.nextSequenceNumber - (isAfter ? 1 : 0), "sequence number");
      return { sequenceNumber: isAfter ? number + 1 : number };
    case "x-opt-enqueued-time":
    case "x-opt-enqueuedtimeutc":
    case "x-opt-enqueued-time-utc":
      return { enqueuedTimeMs: isAfter ? number + 1 : number };
    default:
      throw new IotError("argument.invalid", `Events have no annotation ${name}`);
  }
}
