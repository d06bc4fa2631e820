import type { ParsedSasToken } from "@hubwire/protocol";

const tokensMax = 1_000;
/** Longer ones are checked every time: nobody needs them, and they would make the bound above a large one. */
const charactersMax = 1_024;

/**
 * Tokens whose signature was found right: service clients send the same one again and again, and two HMACs are most of
 * what a request costs. Only right tokens get in, so nobody without a key can push others out. Everything that time or the
 * request decides (expiry, permission, scope) is checked every time.
 */
export class VerifiedTokens {
  readonly #tokens = new Map<string, ParsedSasToken>();

  get(text: string): ParsedSasToken | undefined {
    return this.#tokens.get(text);
  }

  add(text: string, token: ParsedSasToken): void {
    if (text.length > charactersMax) return;
    if (this.#tokens.size >= tokensMax) {
      const [oldest] = this.#tokens.keys();
      this.#tokens.delete(oldest ?? "");
    }
    this.#tokens.set(text, token);
  }
}
