import type { TlsIdentity } from "@hubwire/transport";
import type { Credential } from "./provider.ts";

/**
 * A credential whose secrets cannot be seen from outside: `util.inspect` and `JSON.stringify` show neither private fields nor
 * getters, so that an object that happens to hold one may be logged.
 */
export class Presented implements Credential {
  readonly #password: Uint8Array | undefined;
  readonly #tls: TlsIdentity | undefined;
  readonly expiresAtMs: number;
  readonly renewable: boolean;
  readonly trial: boolean;

  constructor({ password, tls, expiresAtMs, renewable, trial = false }: Credential) {
    this.#password = password;
    this.#tls = tls;
    this.expiresAtMs = expiresAtMs;
    this.renewable = renewable;
    this.trial = trial;
  }

  get password(): Uint8Array | undefined {
    return this.#password;
  }

  get tls(): TlsIdentity | undefined {
    return this.#tls;
  }
}
