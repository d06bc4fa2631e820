import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import { identityKey } from "../services.ts";
import type { CredentialMark } from "../credential-marks.ts";
import type { DeviceLink } from "./device-link.ts";
import type { IdentityRef } from "../services.ts";

type Revocation = {
  code: ErrorCode;
  reason: string;
  order: number;
  /** Undefined: nothing lets it in any more. */
  kept: readonly CredentialMark[] | undefined;
};
/** The last of each kind: what was taken away altogether does not come back with a change of keys. */
type Recent = { whole?: Revocation; partial?: Revocation };

/** Whether what let this connection in still does. */
export const mayStay = (
  { credentials }: Pick<DeviceLink, "credentials">,
  kept: readonly CredentialMark[] | undefined,
): boolean => kept !== undefined && credentials.some((credential) => kept.includes(credential));

/**
 * Closes the gap between reading an identity and owning its connection: a device disabled in that moment has no
 * connection yet that could be closed. Remembers revocations while anybody is authenticating, and forgets them after.
 */
export class Revocations {
  readonly #attempts = new Map<symbol, number>();
  readonly #recent = new Map<string, Recent>();
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

  add(ref: IdentityRef, { code, reason, kept }: Omit<Revocation, "order">): void {
    const order = ++this.#order;
    if (this.#attempts.size === 0) return;
    const key = identityKey(ref);
    const revocation = { code, reason, kept, order };
    const recent = this.#recent.get(key) ?? {};
    this.#recent.set(
      key,
      kept === undefined ? { ...recent, whole: revocation } : { ...recent, partial: revocation },
    );
  }

  /**
   * @throws IotError with the revocation's code, when since `begin` the identity or its device was revoked, or the credential
   *   that let the identity in
   */
  check(attempt: symbol, link: Pick<DeviceLink, "ref" | "credentials">): void {
    const since = this.#attempts.get(attempt) ?? 0;
    const own = this.#recent.get(identityKey(link.ref));
    const ofDevice = this.#recent.get(link.ref.deviceId);
    for (const revocation of [own?.whole, own?.partial, ofDevice?.whole]) {
      if (revocation === undefined || revocation.order <= since) continue;
      if (!mayStay(link, revocation.kept)) throw new IotError(revocation.code, revocation.reason);
    }
  }
}
