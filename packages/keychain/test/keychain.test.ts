import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { deleteKeychainSecret, keychainSecret, storeKeychainSecret } from "@hubwire/keychain";
import { afterAll, beforeAll, expect, test } from "vitest";
import { KeyringSession } from "./support/keyring-session.ts";

const session = new KeyringSession();
const entry = { service: "hubwire-test", account: "dev1" };

beforeAll(() => session.start("echo -n open | gnome-keyring-daemon --unlock --components=secrets"));
afterAll(() => session[Symbol.dispose]());

test("a secret is stored, read, replaced and taken out again", async () => {
  const secret = keychainSecret(entry);
  await expect(secret.read()).rejects.toMatchObject({ code: "secret.missing" });
  const [first, second] = [randomBytes(32).toString("base64"), "Ünï\ncode"];
  await storeKeychainSecret(entry, first);
  expect(await secret.read()).toBe(first);
  expect(inspect(secret, { depth: Infinity, showHidden: true })).not.toContain(first);
  await storeKeychainSecret(entry, second);
  expect(await secret.read()).toBe(second);
  expect(await deleteKeychainSecret(entry)).toBe(true);
  expect(await deleteKeychainSecret(entry)).toBe(false);
  await expect(secret.read()).rejects.toMatchObject({ code: "secret.missing" });
});

test("accounts and services are kept apart", async () => {
  const other = { ...entry, account: "dev2" };
  await storeKeychainSecret(entry, "one");
  await storeKeychainSecret(other, "two");
  expect(await keychainSecret(entry).read()).toBe("one");
  expect(await keychainSecret(other).read()).toBe("two");
  const elsewhere = keychainSecret({ ...entry, service: "another" });
  await expect(elsewhere.read()).rejects.toMatchObject({ code: "secret.missing" });
});
test.each([
  [{ service: "", account: "a" }],
  [{ service: "s", account: "a\0b" }],
  [{ service: "s", account: "x".repeat(256) }],
  [{ service: "s", account: "a", linuxStore: "file" }],
])("what is no entry is refused at once: %o", (given) => {
  expect(() => keychainSecret(given as typeof entry)).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
});

test.each(["", "x".repeat(2_561)])("a secret of %#: bounds are kept", async (secret) => {
  await expect(storeKeychainSecret(entry, secret)).rejects.toMatchObject({
    code: "argument.invalid",
  });
});
