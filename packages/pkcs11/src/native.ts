import { createRequire } from "node:module";
import { IotError } from "@hubwire/protocol";
import type * as Pkcs11 from "pkcs11js";

export type { Handle, Mechanism, PKCS11 as Module, Template } from "pkcs11js";

/**
 * The binding to PKCS#11 modules. By `require`, because it is a CommonJS package whose names an `import` cannot see. It is
 * compiled where it is installed, and an optional dependency, so that a machine without a compiler can install the rest.
 */
export const native = load();

function load(): typeof Pkcs11 {
  try {
    return createRequire(import.meta.url)("pkcs11js") as typeof Pkcs11;
  } catch (cause) {
    throw new IotError("pkcs11.not_built", "pkcs11js is not installed, or was not compiled", {
      cause,
    });
  }
}
