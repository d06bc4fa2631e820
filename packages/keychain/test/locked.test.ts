import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { storeKeychainSecret } from "@hubwire/keychain";
import { afterAll, expect, test } from "vitest";
import { KeyringSession } from "./support/keyring-session.ts";

const session = new KeyringSession();
afterAll(() => session[Symbol.dispose]());

test("a keychain that is locked, with nobody there to unlock it, is told as such and not waited for", async () => {
  await session.start("gnome-keyring-daemon --start --components=secrets");
  const secret = randomBytes(32).toString("base64");
  const storing = storeKeychainSecret({ service: "hubwire-test", account: "dev1" }, secret);
  const refused = await storing.catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "secret.unreadable" });
  expect(inspect(refused, { depth: Infinity, showHidden: true })).not.toContain(secret);
});
