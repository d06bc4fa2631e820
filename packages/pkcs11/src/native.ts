import { createRequire } from "node:module";
import type * as Pkcs11 from "pkcs11js";

export type { Handle, Mechanism, PKCS11 as Module, Template } from "pkcs11js";

/**
 * The binding to PKCS#11 modules. By `require`, because it is a CommonJS package whose names an `import` cannot see.
 */
export const native = createRequire(import.meta.url)("pkcs11js") as typeof Pkcs11;
