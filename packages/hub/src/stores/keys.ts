import { IotError } from "@hubwire/protocol";

/** A module's generation key is at most 128 + 1 + 128 + 1 + 128 characters long. */
const keyCharactersMax = 512;

/**
 * Keys are printable ASCII, as IoT Hub ids are: then the order of UTF-8 bytes (SQLite), of UTF-16 code units
 * (JavaScript) and of a distributed engine's subjects is one order.
 * @throws IotError `argument.invalid`
 */
export function checkKey(key: string): void {
  if (key.length === 0 || key.length > keyCharactersMax) {
    throw new IotError("argument.invalid", `A key has 1 to ${keyCharactersMax} characters`);
  }
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e) {
      throw new IotError("argument.invalid", "A key has printable ASCII characters only");
    }
  }
}

/** What `toJson` makes of a value the store cannot keep would be silence; this names it. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new IotError("argument.invalid", "A document must be plain JSON");
  return text;
}
