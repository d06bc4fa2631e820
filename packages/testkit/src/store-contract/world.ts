import type { Stores } from "@hubwire/hub";
import type { OpenWorld, StoreWorld } from "./index.ts";

/** Runs one test in a world of its own and clears it away, also when the test fails. */
export async function inWorld(
  open: OpenWorld,
  run: (stores: Stores, world: StoreWorld & { restart: () => Promise<Stores> }) => Promise<void>,
): Promise<void> {
  const world = await open();
  let current = world.stores;
  const restart = async (): Promise<Stores> => {
    if (world.reopen === undefined) throw new Error("this world cannot be opened again");
    await current[Symbol.asyncDispose]();
    current = await world.reopen();
    return current;
  };
  try {
    await run(current, { ...world, restart });
  } finally {
    await current[Symbol.asyncDispose]();
    await world.remove?.();
  }
}

/** Every character an IoT Hub id may have. */
const legalCharacters =
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.+%_#*?!(),:=@$'";

/** Keys that trip naive code: prototype names, SQL, patterns, paths, the longest there are. */
export const oddKeys: readonly string[] = [
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "toString",
  ...legalCharacters.split(""),
  legalCharacters,
  "'; drop table documents; --'",
  "%25",
  "a/b",
  "a/b@1",
  "..",
  "NULL",
  "0",
  "-1",
  "1e5",
  " ",
  `${"d".repeat(128)}/${"m".repeat(128)}@${"g".repeat(128)}`,
];
