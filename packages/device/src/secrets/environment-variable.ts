import { IotError } from "@hubwire/protocol";
import { invalid } from "../calls/errors.ts";
import type { SecretSource } from "../credentials/secret.ts";

export type EnvironmentVariableOptions = {
  /**
   * Takes the variable out of `process.env` at once, so that child processes do not inherit it and a dump of the environment
   * does not show it; the source then keeps the secret. On Linux `/proc/…/environ` still shows the first state to the same
   * user. Default false.
   */
  remove?: boolean;
};

/**
 * A secret in an environment variable. The easiest way and the least safe one: children inherit it, and crash reports tend to
 * print it.
 * @throws IotError `argument.invalid`
 */
export function environmentVariable(
  variable: string,
  options: EnvironmentVariableOptions = {},
): SecretSource {
  if (typeof variable !== "string" || !/^[^=\0]+$/u.test(variable)) {
    throw invalid("The name of an environment variable is not empty and has no = in it");
  }
  const name = `the environment variable ${variable}`;
  const taken = options.remove === true ? take(variable) : undefined;
  return {
    name,
    read: async () => {
      const value = taken?.() ?? process.env[variable];
      if (value !== undefined && value !== "") return value;
      throw new IotError("secret.missing", `${name} is ${value === "" ? "empty" : "not set"}`);
    },
  };
}

/** In a function, where `util.inspect` does not see it. */
function take(variable: string): () => string | undefined {
  const value = process.env[variable];
  delete process.env[variable];
  return () => value;
}
