import type { Shown } from "./evidence.ts";

/**
 * One behaviour of Azure IoT Hub and what Hubwire does.
 * - same: as on Azure; `shown` names a test.
 * - differs: `how` says how and why.
 * - absent: not there; `how`, where given, says what there is instead.
 */
export type Row = {
  behaviour: string;
  verdict: "same" | "differs" | "absent";
  how: string | undefined;
  shown: readonly Shown[];
};

export type Section = { title: string; rows: readonly Row[] };

export const same = (behaviour: string, ...shown: Shown[][]): Row => ({
  behaviour,
  verdict: "same",
  how: undefined,
  shown: shown.flat(),
});

export const differs = (behaviour: string, how: string, ...shown: Shown[][]): Row => ({
  behaviour,
  verdict: "differs",
  how,
  shown: shown.flat(),
});

export const absent = (behaviour: string, how?: string): Row => ({
  behaviour,
  verdict: "absent",
  how,
  shown: [],
});
