import { readFileSync } from "node:fs";
import { IotError } from "@hubwire/protocol";
import { InvalidArgumentError } from "commander";

/** `--property name=value`, repeatable. */
export function collectProperty(
  text: string,
  previous: Record<string, string>,
): Record<string, string> {
  const at = text.indexOf("=");
  if (at <= 0) throw new InvalidArgumentError("A property is written name=value.");
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) };
}

/** A whole number within bounds, for commander's option parser. */
export const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    }
    return value;
  };

/** JSON typed on a command line. @throws IotError `cli.usage` that shows where the text breaks */
export function parseJsonArgument(name: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new IotError(
      "cli.usage",
      `${name} is not JSON: ${error instanceof Error ? error.message : String(error)}. ` +
        `In a shell, put it in single quotes: '{"key":"value"}'.`,
    );
  }
}

/** A file of PEM certificates. @throws IotError `cli.usage` */
export function readCertificates(file: string, what: string): string {
  const text = readTextFile(file, what);
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new IotError(
    "cli.usage",
    `${what} ${file} is not a PEM certificate: it has no line -----BEGIN CERTIFICATE-----.`,
  );
}

/** A file named on the command line. @throws IotError `cli.usage` that says what it was for */
export function readTextFile(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new IotError("cli.usage", `${what} ${file} cannot be read: ${reason}`, { cause });
  }
}
