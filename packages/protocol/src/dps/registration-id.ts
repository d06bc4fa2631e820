import { IotError } from "../errors/iot-error.ts";

/** Host of the service for devices anywhere; the id scope says whose it is (Azure DPS docs). */
export const dpsGlobalHost = "global.azure-devices-provisioning.net";

/** Characters of a registration id (Azure DPS docs). */
export const registrationIdCharactersMax = 128;

const REGISTRATION_ID = /^[a-z0-9\-._:]{0,127}[a-z0-9-]$/;
/** Azure makes them as `0ne` and eight hex digits; other makers of the service need not. */
const ID_SCOPE = /^[A-Za-z0-9-]{1,64}$/;

export const isIdScope = (text: string): boolean => ID_SCOPE.test(text);

/** In either case: the service compares registration ids without regard to it. */
export const isRegistrationId = (text: string): boolean => REGISTRATION_ID.test(text.toLowerCase());

/**
 * A registration id as everything on the wire has it: lower case. Keys derived from it depend on that.
 * @throws IotError `argument.invalid`
 */
export function normalRegistrationId(text: string): string {
  const lower = text.toLowerCase();
  if (REGISTRATION_ID.test(lower)) return lower;
  throw new IotError(
    "argument.invalid",
    `A registration id has up to ${registrationIdCharactersMax} letters, digits and - . _ : and ends with a letter, digit or -`,
  );
}
