import { invalid } from "../calls/errors.ts";
import { Gate } from "./gate.ts";
import type { GateOptions } from "./gate.ts";
import { resolveLimits } from "./rate-limit.ts";
import type { LimitOptions } from "./rate-limit.ts";

/** @throws IotError `argument.invalid` */
export function gateOf(
  options: LimitOptions & { whenSpent?: unknown },
  world: Pick<GateOptions, "clock" | "random" | "stats">,
): Gate {
  const { whenSpent = "wait" } = options;
  if (whenSpent !== "wait" && whenSpent !== "refuse") {
    throw invalid(`whenSpent is "wait" or "refuse", not ${String(whenSpent)}`);
  }
  return new Gate({ limits: resolveLimits(options), whenSpent, ...world });
}
