import { readFileSync } from "node:fs";
import { IotError } from "@hubwire/protocol";
import type { KeyChoice } from "./keys.ts";
import type { TokenChoice } from "./tokens.ts";

/** What a `pkcs11:` URI (RFC 7512) says about a key. */
export type KeyUri = TokenChoice & KeyChoice & { pin?: string | undefined };

type Name = "token" | "serial" | "slot-id" | "object" | "id" | "type" | "pin-value" | "pin-source";
const names: ReadonlySet<string> = new Set<Name>([
  "token",
  "serial",
  "slot-id",
  "object",
  "id",
  "type",
  "pin-value",
  "pin-source",
]);

/**
 * Reads a URI; `pin-source` only as `file:` or a path, its file without the line's end.
 * @throws IotError `argument.invalid`, `pkcs11.pin`; they never quote a PIN
 */
export function parseKeyUri(uri: string): KeyUri {
  if (!uri.startsWith("pkcs11:")) throw malformed('it does not begin with "pkcs11:"');
  const [path = "", query = ""] = uri.slice("pkcs11:".length).split("?", 2);
  // libp11 and OpenSC take pin-value in either place.
  const parts = [...path.split(";"), ...query.split("&")].filter((part) => part !== "");
  const values = new Map<Name, Buffer>();
  for (const part of parts) {
    const equals = part.indexOf("=");
    const name = part.slice(0, Math.max(equals, 0));
    if (equals < 0 || !isName(name)) throw malformed("it has an attribute that is not supported");
    if (values.has(name)) throw malformed(`it has ${name} twice`);
    values.set(name, percentDecoded(part.slice(equals + 1)));
  }
  const text = (name: Name): string | undefined => values.get(name)?.toString("utf8");
  const type = text("type");
  if (type !== undefined && type !== "private") throw malformed("its type is not private");
  return {
    tokenLabel: text("token"),
    tokenSerial: text("serial"),
    slot: slotOf(text("slot-id")),
    keyLabel: text("object"),
    keyId: values.get("id"),
    pin: text("pin-value") ?? pinOf(text("pin-source")),
  };
}

/** The URI of a private key, for libp11. Without a PIN: libp11 prints the URI of a key it does not find. */
export function formatKeyUri(
  choice: TokenChoice & { keyLabel?: string | undefined; keyId?: Buffer | undefined },
): string {
  const { tokenLabel, tokenSerial, slot, keyLabel, keyId } = choice;
  const parts = [
    tokenLabel === undefined ? [] : [`token=${percentEncoded(tokenLabel)}`],
    tokenSerial === undefined ? [] : [`serial=${percentEncoded(tokenSerial)}`],
    slot === undefined ? [] : [`slot-id=${slot}`],
    keyLabel === undefined ? [] : [`object=${percentEncoded(keyLabel)}`],
    keyId === undefined ? [] : [`id=${percentEncoded(keyId)}`],
    ["type=private"],
  ];
  return `pkcs11:${parts.flat().join(";")}`;
}

const isName = (name: string): name is Name => names.has(name);

function slotOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw malformed("its slot-id is not a number");
  return Number(text);
}

/** A PIN file is a line of text, not more. */
const pinBytesMax = 1_024;

function pinOf(source: string | undefined): string | undefined {
  if (source === undefined) return undefined;
  const path = source.replace(/^file:(?:\/\/(?=\/))?/, "");
  if (!path.startsWith("/")) throw malformed("its pin-source is not the path of a file");
  try {
    const bytes = readFileSync(path);
    if (bytes.length <= pinBytesMax) return bytes.toString("utf8").replace(/\r?\n$/, "");
  } catch (cause) {
    throw new IotError("pkcs11.pin", `The PIN file ${path} cannot be read`, { cause });
  }
  throw new IotError("pkcs11.pin", `The PIN file ${path} is longer than ${pinBytesMax} bytes`);
}

function percentDecoded(text: string): Buffer {
  if (/%(?![0-9a-f]{2})/i.test(text)) throw malformed("it has a % that encodes nothing");
  const latin1 = Buffer.from(text, "utf8")
    .toString("latin1")
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(latin1, "latin1");
}

function percentEncoded(value: string | Buffer): string {
  const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : value;
  return Array.from(bytes, (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9._~-]/.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

const malformed = (why: string): IotError =>
  new IotError("argument.invalid", `The pkcs11: URI cannot be used: ${why}`);
