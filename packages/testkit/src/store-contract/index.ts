import type { Stores } from "@hubwire/hub";
import { describe } from "vitest";
import { describeC2d } from "./c2d.ts";
import { describeDocuments } from "./documents.ts";
import { describeFailures } from "./failures.ts";
import { describeLookups } from "./lookups.ts";
import { describeTelemetry } from "./telemetry.ts";

/** A fresh, empty set of stores with four partitions, and what a test may do to it. */
export type StoreWorld = {
  stores: Stores;
  /** Closes and opens again what the same place holds; left out when the store forgets. */
  reopen?: () => Promise<Stores>;
  /** From now on no write succeeds, until the returned function is called; left out when it cannot be arranged. */
  breakWrites?: () => () => void;
  /** Removes what `open` made. The stores are closed before. */
  remove?: () => Promise<void>;
};

export type OpenWorld = () => Promise<StoreWorld>;

/** What the domain relies on, whatever is below: every store passes this suite. */
export function describeStoreContract(name: string, open: OpenWorld): void {
  describe(`store contract: ${name}`, () => {
    describe("documents", () => describeDocuments(open));
    describe("lookups", () => describeLookups(open));
    describe("cloud-to-device queues", () => describeC2d(open));
    describe("telemetry", () => describeTelemetry(open));
    describe("failures", () => describeFailures(open));
  });
}
