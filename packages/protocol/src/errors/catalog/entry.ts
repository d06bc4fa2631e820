/** What the catalogue says about one error code. Prose is for people; programs branch on the code. */
export type CatalogEntry = {
  /** Whether trying the same thing again later may succeed without anybody changing anything. */
  readonly retryable: boolean;
  /** What happened, in one sentence, for the error reference. */
  readonly summary: string;
  /** What to do about it, in one sentence. */
  readonly remedy: string;
  /** The face on the service REST API (reference §9.11). */
  readonly http?: { readonly status: number; readonly code: number; readonly name: string };
  /** The face on MQTT: a CONNACK return code (reference §4.2), when the cause is a refused CONNECT. */
  readonly connack?: 1 | 2 | 3 | 4 | 5;
};

/** Keeps the literal codes of a group while checking its entries. */
export const group = <T extends Record<string, CatalogEntry>>(entries: T): T => entries;
