import { decodeBase64Lenient } from "@hubwire/protocol";
import type { Sign } from "@hubwire/protocol";
import { deriveDeviceKey } from "@hubwire/protocol/dps";
import { invalid } from "../calls/errors.ts";
import type { SingleProof } from "../credentials/credentials.ts";
import { signWithKey } from "../credentials/passwords.ts";
import type { Secret } from "../credentials/secret.ts";
import type { Attestation } from "./provisioning-options.ts";

const kinds = ["symmetricKey", "groupKey", "certificate", "sign", "provider"] as const;

/**
 * The proof for the service and for the hub: an enrolment's key or certificate is the device's at its hub too.
 * @throws IotError `argument.invalid`
 */
export function proofOf(given: Attestation, registrationId: string): SingleProof {
  const chosen = kinds.filter((kind) => (given as Record<string, unknown>)[kind] !== undefined);
  if (chosen.length !== 1) throw invalid(`provisioning has exactly one of ${kinds.join(", ")}`);
  if ("symmetricKey" in given) {
    return { sharedAccessKey: checkedKey("symmetricKey", given.symmetricKey) };
  }
  if ("groupKey" in given) {
    return { sign: signAsMember(registrationId, checkedKey("groupKey", given.groupKey)) };
  }
  if ("certificate" in given) return { certificate: given.certificate };
  return "sign" in given ? { sign: given.sign } : { provider: given.provider };
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
