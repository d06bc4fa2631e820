import { native } from "../../src/native.ts";
import type { Handle, Module } from "../../src/native.ts";
import { openModule } from "../../src/module.ts";
import { findToken } from "../../src/tokens.ts";
import { library } from "./soft-hsm.ts";
import type { SoftHsm } from "./soft-hsm.ts";

export type Session = { module: Module; session: Handle };

/** A read-write session of the test's own, logged in, in this process. */
export function openSession(hsm: SoftHsm): Session {
  const module = openModule(library);
  const slot = findToken(module, { tokenLabel: hsm.label });
  const session = module.C_OpenSession(slot, native.CKF_SERIAL_SESSION | native.CKF_RW_SESSION);
  try {
    module.C_Login(session, native.CKU_USER, hsm.pin);
  } catch (error) {
    if (!(error instanceof Error && error.message.includes("ALREADY_LOGGED_IN"))) throw error;
  }
  return { module, session };
}

/** Imports an HMAC key as sensitive and not extractable: from then on nothing can read it. */
export function importSecret({ module, session }: Session, label: string, key: Uint8Array): Handle {
  return module.C_CreateObject(session, [
    { type: native.CKA_CLASS, value: native.CKO_SECRET_KEY },
    { type: native.CKA_KEY_TYPE, value: native.CKK_GENERIC_SECRET },
    { type: native.CKA_LABEL, value: label },
    { type: native.CKA_ID, value: Buffer.from(label, "utf8") },
    { type: native.CKA_TOKEN, value: true },
    { type: native.CKA_PRIVATE, value: true },
    { type: native.CKA_SENSITIVE, value: true },
    { type: native.CKA_EXTRACTABLE, value: false },
    { type: native.CKA_SIGN, value: true },
    { type: native.CKA_VALUE, value: Buffer.from(key) },
  ]);
}
