import type { Secret } from "@hubwire/device";
import { IotError } from "@hubwire/protocol";
import { ckr, ckrOf, tokenError } from "./ckr.ts";
import { native } from "./native.ts";
import type { Handle, Module } from "./native.ts";

/** A user PIN, or where to ask for it each time one is needed; `@hubwire/device/secrets` has places for it. */
export type Pin = Secret | (() => string | Promise<string>);

/** Logs in, and never offers a refused PIN twice: a client that tries for ever would lock the token. */
export class PinPad {
  readonly #pin: Pin;
  #refused: string | undefined;

  constructor(pin: Pin) {
    this.#pin = pin;
  }

  /** @throws IotError `pkcs11.pin` */
  async ask(): Promise<string> {
    let pin: unknown;
    try {
      pin = await read(this.#pin);
    } catch (cause) {
      throw new IotError("pkcs11.pin", "The PIN could not be had", { cause });
    }
    if (typeof pin !== "string" || pin === "")
      throw new IotError("pkcs11.pin", "There is no PIN for the token");
    if (pin === this.#refused)
      throw new IotError("pkcs11.pin", "The token refused this PIN before: it is not tried again");
    return pin;
  }

  /** @throws IotError `pkcs11.pin`, `pkcs11.pin_locked`, `pkcs11.token_removed`, `pkcs11.sign_failed` */
  login(module: Module, session: Handle, pin: string): void {
    try {
      module.C_Login(session, native.CKU_USER, pin);
    } catch (cause) {
      const code = ckrOf(cause);
      // By another session: being logged in is a state of the process.
      if (code === ckr.USER_ALREADY_LOGGED_IN) return;
      const isWrong =
        code === ckr.PIN_INCORRECT || code === ckr.PIN_INVALID || code === ckr.PIN_LEN_RANGE;
      if (isWrong) this.#refused = pin;
      throw tokenError("The token did not let us log in", cause);
    }
  }
}

function read(pin: Pin): string | Promise<string> {
  if (typeof pin === "string") return pin;
  return typeof pin === "function" ? pin() : pin.read();
}
