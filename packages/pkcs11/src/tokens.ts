import { IotError } from "@hubwire/protocol";
import { tokenError } from "./ckr.ts";
import type { Handle, Module } from "./native.ts";
import { readUlong } from "./ulong.ts";

/** Which token; what is left out may be anything. */
export type TokenChoice = {
  /** Slot id, as `pkcs11-tool --list-slots` prints it. SoftHSM gives a new one at initialisation: prefer the label. */
  slot?: number | undefined;
  tokenLabel?: string | undefined;
  tokenSerial?: string | undefined;
};

/**
 * The slot of the one token that fits.
 * @throws IotError `pkcs11.token_not_found`
 */
export function findToken(module: Module, choice: TokenChoice): Handle {
  const slots = listSlots(module);
  const found = slots.filter((slot) => fits(module, slot, choice));
  const [slot] = found;
  if (slot !== undefined && found.length === 1) return slot;
  const which = found.length === 0 ? "No token" : "More than one token";
  const message = `${which} of ${slots.length} fits ${describe(choice)}`;
  throw new IotError("pkcs11.token_not_found", message);
}

function listSlots(module: Module): Handle[] {
  try {
    return module.C_GetSlotList(true);
  } catch (cause) {
    throw tokenError("The module did not list its slots", cause);
  }
}

function fits(module: Module, slot: Handle, choice: TokenChoice): boolean {
  if (choice.slot !== undefined && readUlong(slot) !== choice.slot) return false;
  let info;
  try {
    info = module.C_GetTokenInfo(slot);
  } catch {
    // Pulled out between the two questions, or a reader with something else in it.
    return false;
  }
  if ((info.flags & tokenInitialized) === 0) return false;
  const { tokenLabel, tokenSerial } = choice;
  if (tokenLabel !== undefined && unpadded(info.label) !== tokenLabel) return false;
  return tokenSerial === undefined || unpadded(info.serialNumber) === tokenSerial;
}

const tokenInitialized = 0x400;

/** The fields are of fixed length, filled with blanks. */
const unpadded = (text: string): string => text.replace(/[\s\0]+$/, "");

function describe({ slot, tokenLabel, tokenSerial }: TokenChoice): string {
  const parts = [
    slot === undefined ? [] : [`slot ${slot}`],
    tokenLabel === undefined ? [] : [`label ${JSON.stringify(tokenLabel)}`],
    tokenSerial === undefined ? [] : [`serial number ${JSON.stringify(tokenSerial)}`],
  ].flat();
  return parts.length === 0 ? "(nothing was asked for: name slot or tokenLabel)" : parts.join(", ");
}
