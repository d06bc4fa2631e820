import type { CallOptions } from "../calls/pending-call.ts";
import type { SingleProof } from "./credentials.ts";
import { proveSingle } from "./proofs.ts";
import type { CredentialProvider } from "./provider.ts";
import { Rotation } from "./rotation.ts";
import type { OnRotated } from "./rotation.ts";

export type RotateOptions = CallOptions & {
  /** Told which credential counts from now on, to store it for the next start; awaited before the call settles. */
  onRotated?: OnRotated | undefined;
};

/** An offer under way: how it ends, and the way to take it back. */
export type Offer = { decided: Promise<void>; withdraw: () => void };

/** @throws IotError `argument.invalid`, `sas.malformed` at once */
export type Rotate = (next: SingleProof, onRotated: OnRotated | undefined) => Offer;

/** Makes any credential one that can be exchanged. */
export function rotatable(
  given: CredentialProvider,
  tokenLifetimeS: number,
): { credentials: CredentialProvider; rotate: Rotate } {
  const rotation = given instanceof Rotation ? given : new Rotation(given);
  const rotate: Rotate = (next, onRotated) => {
    const { provider } = proveSingle(next, tokenLifetimeS, "The next credential");
    const decided = rotation.offer(provider, { onRotated });
    return { decided, withdraw: () => rotation.withdraw(provider) };
  };
  return { credentials: rotation, rotate };
}
