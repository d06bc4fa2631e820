import { describe, expect, test } from "vitest";
import vectors from "../../../../vectors/tier-limits.json" with { type: "json" };
import { hubTiers, tierLimits } from "../../src/quotas/index.ts";
import type { HubTier } from "../../src/quotas/index.ts";

describe("tier limits", () => {
  test.each(vectors.cases)("$tier with $units units", ({ tier, units, ...limits }) => {
    expect(tierLimits(tier as HubTier, units)).toEqual(limits);
  });

  test("every tier has a case", () => {
    expect(new Set(vectors.cases.map(({ tier }) => tier))).toEqual(new Set(hubTiers));
  });
});
