import { readFileSync } from "node:fs";
import type { SecureContext, SecureContextOptions } from "node:tls";
import { tls } from "./builtins.ts";
import { credentialsError } from "./tls-credentials.ts";

/**
 * A client's secure context that trusts the default authorities and, in addition, `added`.
 *
 * OpenSSL takes either the default roots or a list, and giving Node the whole list makes it parse 120 roots for each
 * context: 11 ms, as much as connecting costs. So the additions go into the context's own copy of the default store, by the
 * call that Node's `ca` option ends in. Where that call is missing, the list it is. Both keep NODE_EXTRA_CA_CERTS and
 * the system's store where the runtime uses them.
 */
export function trustingContext(
  options: SecureContextOptions,
  added: readonly string[],
): SecureContext {
  try {
    const context = tls().createSecureContext(options);
    if (added.length === 0) return context;
    const native = context.context as { addCACert?: (pem: string) => void };
    if (typeof native.addCACert !== "function") {
      return tls().createSecureContext({ ...options, ca: [...defaultAuthorities(), ...added] });
    }
    for (const pem of [...forgottenAuthorities(), ...added]) native.addCACert(pem);
    return context;
  } catch (cause) {
    throw credentialsError(cause);
  }
}

/** What `createSecureContext` trusts when it is told nothing, as PEM; for a runtime that has to be told everything. */
export function defaultAuthorities(
  runtime: Runtime = tls(),
  env: Environment = process.env,
): readonly string[] {
  // Since Node 22.15: with NODE_EXTRA_CA_CERTS, and the system's store where the runtime uses that.
  if (runtime.getCACertificates !== undefined) return runtime.getCACertificates("default");
  return [...runtime.rootCertificates, ...forgottenAuthorities(runtime, env)];
}

/**
 * What a copy of the default store lacks: the first authority added on Node 20 makes a copy without NODE_EXTRA_CA_CERTS
 * (seen with 20.19.0). Adding one twice, where it is not needed, does no harm.
 */
function forgottenAuthorities(
  runtime: Runtime = tls(),
  env: Environment = process.env,
): readonly string[] {
  const { NODE_EXTRA_CA_CERTS: file = "" } = env;
  if (runtime.getCACertificates !== undefined || file === "") return [];
  try {
    const pem = readFileSync(file, "utf8");
    return pem.includes("-----BEGIN ") ? [pem] : [];
  } catch {
    // As Node itself, which has warned of it at its start.
    return [];
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

type Runtime = {
  rootCertificates: readonly string[];
  getCACertificates?: (type: "default") => string[];
};
