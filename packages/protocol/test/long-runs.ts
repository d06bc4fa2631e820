import * as fc from "fast-check";

/** Imported for its effect: `HUBWIRE_LONG=1` runs every property that names no count of its own many more times. */
if (process.env["HUBWIRE_LONG"] === "1") fc.configureGlobal({ numRuns: 2_000 });
