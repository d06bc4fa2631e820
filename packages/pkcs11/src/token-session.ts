import { IotError } from "@hubwire/protocol";
import { ckr, ckrOf, isSessionLost, tokenError } from "./ckr.ts";
import { openModule, startModule } from "./module.ts";
import { native } from "./native.ts";
import type { Handle, Module } from "./native.ts";
import { PinPad } from "./pin.ts";
import type { Pin } from "./pin.ts";
import { findToken } from "./tokens.ts";
import type { TokenChoice } from "./tokens.ts";

export type TokenOptions = TokenChoice & {
  /** Path of the PKCS#11 module, such as `/usr/lib/softhsm/libsofthsm2.so`. */
  library: string;
  /** The token's user PIN. A function is asked whenever the token has to be opened. */
  pin: Pin;
};

/** What an operation works with. */
export type OpenToken = { module: Module; session: Handle };

/** Operations that may wait for one token: far more than one client ever asks for at a time. */
const waitingMax = 64;

/**
 * A session with one token, logged in: opened when first needed, opened anew when the token was away. One operation at a
 * time; they wait in line. Opening blocks the event loop for as long as the token takes, signing does not.
 */
export class TokenSession {
  readonly #options: TokenOptions;
  readonly #pinPad: PinPad;
  readonly #flags: number;
  #open: OpenToken | undefined;
  #openings = 0;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #closed = false;

  constructor(options: TokenOptions, access: "read" | "writable" = "read") {
    this.#options = options;
    this.#flags = native.CKF_SERIAL_SESSION | (access === "writable" ? native.CKF_RW_SESSION : 0);
    this.#pinPad = new PinPad(options.pin);
  }

  /** How many times the token was opened. */
  get openings(): number {
    return this.#openings;
  }

  /**
   * @param what for messages, such as "signing"
   * @param work asked a second time, with a new session, when the first was lost
   * @throws IotError `pkcs11.*`
   */
  run<T>(what: string, work: (token: OpenToken) => T | Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new IotError("pkcs11.closed", `${what}: it is closed`));
    if (this.#waiting >= waitingMax) {
      const message = `${what}: ${waitingMax} operations wait for the token already`;
      return Promise.reject(new IotError("pkcs11.busy", message));
    }
    this.#waiting += 1;
    const done = this.#last
      .then(() => this.#attempt(what, work))
      .finally(() => (this.#waiting -= 1));
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** After what is under way. Repeating it is harmless. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    this.#drop();
  }

  async #attempt<T>(what: string, work: (token: OpenToken) => T | Promise<T>): Promise<T> {
    try {
      return await work(this.#open ?? (await this.#openToken()));
    } catch (first) {
      if (!isSessionLost(first)) throw tokenError(what, first);
      this.#drop();
      if (ckrOf(first) === ckr.CRYPTOKI_NOT_INITIALIZED) this.#restart();
    }
    try {
      return await work(await this.#openToken());
    } catch (second) {
      this.#drop();
      throw tokenError(what, second);
    }
  }

  async #openToken(): Promise<OpenToken> {
    const module = openModule(this.#options.library);
    const pin = await this.#pinPad.ask();
    const slot = findToken(module, this.#options);
    const session = module.C_OpenSession(slot, this.#flags);
    try {
      this.#pinPad.login(module, session, pin);
    } catch (error) {
      closeQuietly(module, session);
      throw error;
    }
    this.#openings += 1;
    this.#open = { module, session };
    return this.#open;
  }

  #restart(): void {
    const { library } = this.#options;
    startModule(openModule(library), library);
  }

  #drop(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined) closeQuietly(open.module, open.session);
  }
}

/** No C_Logout: it would log the whole process out. */
function closeQuietly(module: Module, session: Handle): void {
  try {
    module.C_CloseSession(session);
  } catch {
    // It went with its token.
  }
}
