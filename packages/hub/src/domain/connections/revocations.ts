import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import { identityKey } from "../services.ts";
import type { IdentityRef } from "../services.ts";

type Revocation = { code: ErrorCode; reason: string; order: number };

/**
 * Closes the gap between reading an identity and owning its connection: a device disabled in that moment has no
 * connection yet that could be closed. Remembers revocations while anybody is authenticating, and forgets them after.
 */
export class Revocations {
  readonly #attempts = new Map<symbol, number>();
  readonly #recent = new Map<string, Revocation>();
  #order = 0;

  begin(): symbol {
    const attempt = Symbol("attempt");
    this.#attempts.set(attempt, this.#order);
    return attempt;
  }

  end(attempt: symbol): void {
    this.#attempts.delete(attempt);
    if (this.#attempts.size === 0) this.#recent.clear();
  }

  add(ref: IdentityRef, code: ErrorCode, reason: string): void {
    this.#order++;
    if (this.#attempts.size > 0) {
      this.#recent.set(identityKey(ref), { code, reason, order: this.#order });
    }
  }

  /** @throws IotError with the revocation's code, when the identity or its device was revoked since `begin` */
  check(attempt: symbol, ref: IdentityRef): void {
    const since = this.#attempts.get(attempt) ?? 0;
    for (const key of new Set([ref.deviceId, identityKey(ref)])) {
      const revocation = this.#recent.get(key);
      if (revocation !== undefined && revocation.order > since) {
        throw new IotError(revocation.code, revocation.reason);
      }
    }
  }
}
