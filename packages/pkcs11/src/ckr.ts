import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";

/** Return values the code decides by. PKCS#11 v2.40, base specification, section 3.6 (CK_RV). */
export const ckr = {
  CRYPTOKI_NOT_INITIALIZED: 0x190,
  CRYPTOKI_ALREADY_INITIALIZED: 0x191,
  USER_ALREADY_LOGGED_IN: 0x100,
  PIN_INCORRECT: 0xa0,
  PIN_INVALID: 0xa1,
  PIN_LEN_RANGE: 0xa2,
} as const;

/** After these the session is of no use any more, and a new one may work. */
const sessionLost: ReadonlySet<number> = new Set([
  0x03, // SLOT_ID_INVALID
  0x32, // DEVICE_REMOVED
  0x60, // KEY_HANDLE_INVALID
  0x82, // OBJECT_HANDLE_INVALID
  0x90, // OPERATION_ACTIVE, left behind by one that failed
  0xb0, // SESSION_CLOSED
  0xb3, // SESSION_HANDLE_INVALID
  0xe0, // TOKEN_NOT_PRESENT
  0xe1, // TOKEN_NOT_RECOGNIZED
  0x101, // USER_NOT_LOGGED_IN
  ckr.CRYPTOKI_NOT_INITIALIZED,
]);

const codes: Readonly<Record<number, ErrorCode>> = {
  0x03: "pkcs11.token_removed",
  0x32: "pkcs11.token_removed",
  0xb0: "pkcs11.token_removed",
  0xb3: "pkcs11.token_removed",
  0xe0: "pkcs11.token_removed",
  0xe1: "pkcs11.token_removed",
  0x63: "pkcs11.key_unfit", // KEY_TYPE_INCONSISTENT
  0x62: "pkcs11.key_unfit", // KEY_SIZE_RANGE
  0x68: "pkcs11.key_unfit", // KEY_FUNCTION_NOT_PERMITTED
  0x70: "pkcs11.key_unfit", // MECHANISM_INVALID
  0x71: "pkcs11.key_unfit", // MECHANISM_PARAM_INVALID
  [ckr.PIN_INCORRECT]: "pkcs11.pin",
  [ckr.PIN_INVALID]: "pkcs11.pin",
  [ckr.PIN_LEN_RANGE]: "pkcs11.pin",
  0xa3: "pkcs11.pin_locked", // PIN_EXPIRED
  0xa4: "pkcs11.pin_locked", // PIN_LOCKED
};

/** The CK_RV of an error of the binding; undefined when it is another kind of error. */
export function ckrOf(error: unknown): number | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return error instanceof Error && error.name === "Pkcs11Error" && typeof code === "number"
    ? code
    : undefined;
}

export const isSessionLost = (error: unknown): boolean => sessionLost.has(ckrOf(error) ?? -1);

/** What a module answered, as one of our errors. The binding's message holds the CKR name and no argument of the call. */
export function tokenError(what: string, cause: unknown): IotError {
  if (cause instanceof IotError) return cause;
  const code = codes[ckrOf(cause) ?? -1] ?? "pkcs11.sign_failed";
  const why = cause instanceof Error ? cause.message : String(cause);
  return new IotError(code, `${what}: ${why}`, { cause });
}
