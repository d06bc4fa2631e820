import { decodeBase64Lenient } from "@hubwire/protocol";
import type { Sign } from "@hubwire/protocol";
import { deriveDeviceKey } from "@hubwire/protocol/dps";
import { invalid } from "../calls/errors.ts";
import type { ClientCertificate, SingleProof } from "../credentials/credentials.ts";
import { signWithKey } from "../credentials/passwords.ts";
import type { CredentialProvider } from "../credentials/provider.ts";
import type { Secret } from "../credentials/secret.ts";
import type { Attestation } from "./provisioning-options.ts";

const kinds = "symmetricKey, groupKey, certificate, sign, provider";

type AnyAttestation = {
  symmetricKey?: Secret;
  groupKey?: Secret;
  certificate?: ClientCertificate;
  sign?: Sign;
  provider?: CredentialProvider;
};

/**
 * The proof for the service and for the hub: an enrolment's key or certificate is the device's at its hub too.
 * @throws IotError `argument.invalid`
 */
export function proofOf(given: Attestation, registrationId: string): SingleProof {
  // Untyped callers give names with undefined behind them: what counts is what is there.
  const { symmetricKey, groupKey, certificate, sign, provider } = given as AnyAttestation;
  const count = [symmetricKey, groupKey, certificate, sign, provider].filter(
    (one) => one !== undefined,
  ).length;
  if (count !== 1) throw invalid(`provisioning has exactly one of ${kinds}`);
  if (symmetricKey !== undefined) {
    return { sharedAccessKey: checkedKey("symmetricKey", symmetricKey) };
  }
  if (groupKey !== undefined) {
    return { sign: signAsMember(registrationId, checkedKey("groupKey", groupKey)) };
  }
  if (certificate !== undefined) return { certificate };
  return sign === undefined ? { provider: provider as CredentialProvider } : { sign };
}

function checkedKey(name: string, key: Secret): Secret {
  const isSource = typeof key === "object" && key !== null && typeof key.read === "function";
  if (isSource || (typeof key === "string" && decodeBase64Lenient(key).length > 0)) return key;
  throw invalid(`provisioning.${name} is not base64`);
}

/** Derived anew for each token: a group's key that is somewhere else is not kept here. */
const signAsMember =
  (registrationId: string, groupKey: Secret): Sign =>
  async (text) =>
    signWithKey(await deriveDeviceKey(registrationId, signWithKey(groupKey)))(text);
