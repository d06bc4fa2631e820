import { invalid } from "../calls/errors.ts";

/** How urgent a message is: a more urgent one overtakes, among equals the order of the calls is kept. */
export type Priority = "low" | "normal" | "high";

/** Least urgent first: a priority is its index wherever it is not spelt out. */
export const priorities: readonly Priority[] = ["low", "normal", "high"];
export const normal = 1;

/** @throws IotError `argument.invalid` */
export function checkPriority(given: unknown): number {
  const index = priorities.indexOf(given as Priority);
  if (index === -1) throw invalid(`priority is low, normal or high, not ${String(given)}`);
  return index;
}
