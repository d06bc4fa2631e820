import { readFileSync } from "node:fs";
import * as tls from "node:tls";

/**
 * The certificate authorities to trust when some are added. OpenSSL takes either the default roots or a given list, so
 * adding means giving both. Undefined when nothing is added: then Node's own default applies.
 */
export function trustedAuthorities(added: readonly string[]): string[] | undefined {
  if (added.length === 0) return undefined;
  return [...defaultAuthorities(), ...added];
}

function defaultAuthorities(): readonly string[] {
  // From Node 22.15 the runtime can tell, with the system's store and NODE_EXTRA_CA_CERTS where they are in use.
  const ask = (tls as { getCACertificates?: (type: "default") => string[] }).getCACertificates;
  if (ask !== undefined) return ask("default");
  return [...tls.rootCertificates, ...extraAuthorities(process.env["NODE_EXTRA_CA_CERTS"])];
}

/** As Node does with its default list: a file that cannot be read is left out (Node has warned about it at start). */
function extraAuthorities(path: string | undefined): readonly string[] {
  if (path === undefined || path === "") return [];
  try {
    return [readFileSync(path, "utf8")];
  } catch {
    return [];
  }
}
