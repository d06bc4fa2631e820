import type { BulkRegistry } from "../services.ts";
import { bulkRun, type BulkParts } from "./bulk.ts";
import { DocumentIdentities, type IdentitiesOptions } from "./identities.ts";

export type { IdentitiesOptions } from "./identities.ts";

/** The identity registry over documents with compare-and-set. `sweep` is for the hub's housekeeping. */
export const createIdentities = (options: IdentitiesOptions): DocumentIdentities =>
  new DocumentIdentities(options);

/** The registry's bulk operation over identities and twins. */
export const createBulk = (parts: BulkParts): BulkRegistry => ({
  run: (items) => bulkRun(items, parts),
});
