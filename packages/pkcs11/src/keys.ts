import { IotError } from "@hubwire/protocol";
import { native } from "./native.ts";
import type { Handle, Module, Template } from "./native.ts";

/** Which key: at least one of the two. */
export type KeyChoice = {
  /** CKA_LABEL. */
  keyLabel?: string | undefined;
  /** CKA_ID: bytes, or their hex as `pkcs11-tool` prints it. */
  keyId?: string | Uint8Array | undefined;
};

/**
 * The one key of this class that fits.
 * @throws IotError `pkcs11.key_not_found`; errors of the module as they are
 */
export function findKey(
  module: Module,
  session: Handle,
  kind: "secret" | "private",
  choice: KeyChoice,
): Handle {
  const found = findKeys(module, session, kind, choice);
  const [key] = found;
  if (key !== undefined && found.length === 1) return key;
  const { keyLabel } = choice;
  const keyId = keyIdBytes(choice.keyId);
  const wanted = [
    keyLabel === undefined ? "" : ` with label ${JSON.stringify(keyLabel)}`,
    keyId === undefined ? "" : ` with id ${keyId.toString("hex")}`,
  ].join("");
  const which = found.length === 0 ? "no" : "more than one";
  throw new IotError("pkcs11.key_not_found", `The token has ${which} ${kind} key${wanted}`);
}

/** Up to two of them. */
export function findKeys(
  module: Module,
  session: Handle,
  kind: "secret" | "private",
  choice: KeyChoice,
): readonly Handle[] {
  const { keyLabel } = choice;
  const keyId = keyIdBytes(choice.keyId);
  const keyClass = kind === "secret" ? native.CKO_SECRET_KEY : native.CKO_PRIVATE_KEY;
  const template: Template = [{ type: native.CKA_CLASS, value: keyClass }];
  if (keyLabel !== undefined) template.push({ type: native.CKA_LABEL, value: keyLabel });
  if (keyId !== undefined) template.push({ type: native.CKA_ID, value: keyId });
  module.C_FindObjectsInit(session, template);
  try {
    return module.C_FindObjects(session, 2);
  } finally {
    module.C_FindObjectsFinal(session);
  }
}

/** @throws IotError `argument.invalid` */
export function keyIdBytes(keyId: string | Uint8Array | undefined): Buffer | undefined {
  if (keyId === undefined) return undefined;
  if (typeof keyId !== "string") return Buffer.from(keyId);
  const hex = keyId.replaceAll(":", "");
  if (hex !== "" && hex.length % 2 === 0 && /^[0-9a-f]+$/i.test(hex))
    return Buffer.from(hex, "hex");
  throw new IotError(
    "argument.invalid",
    "keyId is hex, two digits a byte, or the bytes themselves",
  );
}
