import { expect } from "vitest";
import { IotError } from "../src/errors/iot-error.ts";
import type { ErrorCode } from "../src/errors/iot-error.ts";

/** Runs `act` and returns the IotError it must throw, of this code if one is named. */
export function iotErrorOf(act: () => unknown, code?: string): IotError {
  let result: unknown;
  try {
    result = act();
  } catch (error) {
    expect(error).toBeInstanceOf(IotError);
    const iotError = error as IotError;
    if (code !== undefined) expect(iotError.code).toBe(code satisfies string as ErrorCode);
    return iotError;
  }
  throw new Error(`expected an IotError, got ${JSON.stringify(result)}`);
}

/** The value, or the IotError: anything else thrown fails the test. */
export function valueOrIotError<T>(act: () => T): T | IotError {
  try {
    return act();
  } catch (error) {
    if (error instanceof IotError) return error;
    throw error;
  }
}
