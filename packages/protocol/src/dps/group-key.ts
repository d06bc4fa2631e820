import type { Sign } from "../iothub/sas-token.ts";
import { normalRegistrationId } from "./registration-id.ts";

/**
 * The key of one device in an enrolment group: HMAC-SHA256 of its registration id under the group's key. Better made where
 * devices are made than on the device: who holds the group's key can be any of them.
 * @param sign signs with the group's key
 * @returns base64, 32 bytes
 * @throws IotError `argument.invalid`
 * @see Azure DPS docs, "Symmetric key attestation, group enrollments"; a worked value in `vectors/dps-keys.json`
 */
export const deriveDeviceKey = (registrationId: string, sign: Sign): Promise<string> =>
  sign(normalRegistrationId(registrationId));
