import { DocumentIdentities, type IdentitiesOptions } from "./identities.ts";

export type { IdentitiesOptions } from "./identities.ts";

/** The identity registry over documents with compare-and-set. `sweep` is for the hub's housekeeping. */
export const createIdentities = (options: IdentitiesOptions): DocumentIdentities =>
  new DocumentIdentities(options);
