import { createHmac, randomBytes } from "node:crypto";
import { importSasKey, pkcs11Sign } from "@hubwire/pkcs11";
import { afterAll, expect, test } from "vitest";
import { library, softHsm } from "./support/soft-hsm.ts";

const hsm = softHsm();
afterAll(() => hsm.remove());
Object.assign(process.env, hsm.env);
const token = { library, tokenLabel: hsm.label, pin: hsm.pin };
const key = randomBytes(32);

test("an imported key signs, found by label and by id", async () => {
  await importSasKey({ ...token, key: key.toString("base64"), keyLabel: "sas", keyId: "0a0b" });
  await using byLabel = pkcs11Sign({ ...token, keyLabel: "sas" });
  await using byId = pkcs11Sign({ ...token, keyId: Buffer.from([10, 11]) });
  const mac = createHmac("sha256", key).update("text").digest("base64");
  expect([await byLabel("text"), await byId("text")]).toEqual([mac, mac]);
  expect(hsm.tool("--list-objects")).not.toContain(key.toString("hex"));
});

test("the bytes that were passed stay as they are", async () => {
  const bytes = randomBytes(32);
  const before = Buffer.from(bytes);
  await importSasKey({ ...token, key: bytes, keyLabel: "bytes" });
  expect(bytes).toEqual(before);
});

test.each([
  ["a label that is taken", { keyLabel: "sas" }, "argument.invalid"],
  ["an empty label", { keyLabel: "" }, "argument.invalid"],
  ["a key that is too short", { key: Buffer.alloc(15) }, "argument.invalid"],
  ["a key that is too long", { key: Buffer.alloc(65) }, "argument.invalid"],
  ["a wrong PIN", { pin: "00000000" }, "pkcs11.pin"],
  ["no such token", { tokenLabel: "other" }, "pkcs11.token_not_found"],
] as const)("%s is refused", async (_name, wrong, code) => {
  const good = { ...token, key: randomBytes(32), keyLabel: "another" };
  await expect(importSasKey({ ...good, ...wrong })).rejects.toMatchObject({ code });
});
