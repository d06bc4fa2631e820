import type { ConnackCode } from "@hubwire/protocol";

/** CONNACK return codes that refuse: 3 busy, 4 bad user name or password, 5 not authorized. */
export type Refusal = Exclude<ConnackCode, 0>;

/** What a fake hub does wrong at the moment. */
export class Faults {
  refusal: { code: Refusal; left: number } | undefined;
  /** New connections are taken and never answered. */
  silent = false;
  /** New connections are not taken at all. */
  unreachable = false;
  ackDelayMs = 0;
  dropsAcks = false;
  twinThrottlesLeft = 0;
  twinSilent = false;
}
