import { createHmac, randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { pkcs11Sign } from "@hubwire/pkcs11";
import type { Pkcs11SignOptions } from "@hubwire/pkcs11";
import { IotError } from "@hubwire/protocol";
import { afterAll, expect, test } from "vitest";
import { openModule } from "../src/module.ts";
import { native } from "../src/native.ts";
import { library, softHsm } from "./support/soft-hsm.ts";
import { importSecret, openSession } from "./support/token.ts";

const hsm = softHsm();
afterAll(() => hsm.remove());
// Read once, when the module starts: this file has a process to itself.
Object.assign(process.env, hsm.env);

const key = randomBytes(32);
{
  const session = openSession(hsm);
  importSecret(session, "sas", key);
  importSecret(session, "twice", randomBytes(32));
  importSecret(session, "twice", randomBytes(32));
  session.module.C_CloseSession(session.session);
}
const { label: tokenLabel, pin } = hsm;
const good: Pkcs11SignOptions = { library, tokenLabel, pin, keyLabel: "sas" };
const hmacOf = (text: string): string => createHmac("sha256", key).update(text).digest("base64");

/** What it rejects with. */
const failure = (work: Promise<unknown>): Promise<IotError> =>
  work.then(
    () => expect.fail("it worked"),
    (error: unknown) => error as IotError,
  );

test.each([
  ["label", { keyLabel: "sas" }],
  ["id in hex", { keyId: Buffer.from("sas").toString("hex") }],
  ["id in bytes", { keyId: Buffer.from("sas") }],
  ["label and id", { keyLabel: "sas", keyId: Buffer.from("sas") }],
])("a key found by %s signs as the key itself would", async (_name, choice) => {
  await using sign = pkcs11Sign({ library, tokenLabel, pin, ...choice });
  for (const text of ["a", "hub%2Fdevices%2Fd\n1700000000", "ä€😀"])
    expect(await sign(text)).toBe(hmacOf(text));
});

test("many signatures asked for at once all come out right", async () => {
  await using sign = pkcs11Sign(good);
  const texts = Array.from({ length: 60 }, (_, n) => `text ${n}`);
  expect(await Promise.all(texts.map((text) => sign(text)))).toEqual(texts.map(hmacOf));
});

test("an operation that failed does not stand in the way of the next", async () => {
  await using sign = pkcs11Sign(good);
  // SoftHSM takes no empty text, and leaves its session in the middle of a signature.
  expect((await failure(sign(""))).code).toBe("pkcs11.sign_failed");
  expect(await sign("text")).toBe(hmacOf("text"));
});

test("a token that cannot keep up has a bound", async () => {
  await using sign = pkcs11Sign(good);
  const all = await Promise.allSettled(Array.from({ length: 65 }, () => sign("text")));
  expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(64);
  expect(all.at(-1)).toMatchObject({ reason: { code: "pkcs11.busy", retryable: true } });
});

test("a pin function is asked once for each time the token is opened", async () => {
  let asked = 0;
  await using sign = pkcs11Sign({
    ...good,
    pin: async () => {
      asked += 1;
      return pin;
    },
  });
  await sign("one");
  await sign("two");
  expect(asked).toBe(1);
});

test("a PIN may be wherever secrets may be", async () => {
  const source = { name: "a test", read: () => Promise.resolve(pin) };
  await using sign = pkcs11Sign({ ...good, pin: source });
  expect(await sign("text")).toBe(hmacOf("text"));
});

test("sessions that are lost are opened again, and nobody notices", async () => {
  await using sign = pkcs11Sign(good);
  await sign("before");
  const module = openModule(library);
  for (const slot of module.C_GetSlotList(true)) module.C_CloseAllSessions(slot);
  expect(await sign("after")).toBe(hmacOf("after"));
});

test("a module that somebody stopped is started again", async () => {
  await using sign = pkcs11Sign(good);
  await sign("before");
  openModule(library).C_Finalize();
  expect(await sign("after")).toBe(hmacOf("after"));
});

test.each([
  ["no such module", { library: "/nowhere/pkcs11.so" }, "pkcs11.library"],
  ["a file that is no module", { library: "/etc/passwd" }, "pkcs11.library"],
  ["no such token", { tokenLabel: "other" }, "pkcs11.token_not_found"],
  ["no such slot", { slot: 4_711 }, "pkcs11.token_not_found"],
  ["no such serial number", { tokenSerial: "00" }, "pkcs11.token_not_found"],
  ["no such key", { keyLabel: "other" }, "pkcs11.key_not_found"],
  ["no such key id", { keyId: "00ff" }, "pkcs11.key_not_found"],
  ["two keys that fit", { keyLabel: "twice" }, "pkcs11.key_not_found"],
  ["an empty PIN", { pin: "" }, "pkcs11.pin"],
  ["a PIN function that fails", { pin: () => Promise.reject(new Error("no")) }, "pkcs11.pin"],
] as const)("%s is named", async (_name, wrong, code) => {
  await using sign = pkcs11Sign({ ...good, ...wrong });
  const error = await failure(sign("text"));
  expect(error).toBeInstanceOf(IotError);
  expect(error.code).toBe(code);
});

test("a wrong PIN is tried once, or the token would lock itself; the right one then works", async () => {
  const wrong = "0123456789";
  let current = wrong;
  const module = openModule(library);
  for (const slot of module.C_GetSlotList(true)) module.C_CloseAllSessions(slot);
  let logins = 0;
  const login = module.C_Login.bind(module);
  module.C_Login = (...args) => {
    logins += 1;
    return login(...args);
  };
  try {
    await using sign = pkcs11Sign({ ...good, pin: () => current });
    for (let n = 0; n < 5; n++) expect((await failure(sign("text"))).code).toBe("pkcs11.pin");
    expect(logins).toBe(1);
    current = pin;
    expect(await sign("text")).toBe(hmacOf("text"));
  } finally {
    module.C_Login = login;
  }
});

test("the PIN is in no inspection and no error", async () => {
  const secret = "98765432101234";
  const module = openModule(library);
  for (const slot of module.C_GetSlotList(true)) module.C_CloseAllSessions(slot);
  const sign = pkcs11Sign({ ...good, pin: secret });
  const error = await failure(sign("text"));
  expect(error.code).toBe("pkcs11.pin");
  const shown = inspect([sign, error, error.cause], { depth: 10, showHidden: true });
  expect(shown + String(error.stack) + JSON.stringify(error)).not.toContain(secret);
});

test("what is closed says so, and closing twice is harmless", async () => {
  const sign = pkcs11Sign(good);
  const last = sign("text");
  await sign.close();
  await sign.close();
  expect(await last).toBe(hmacOf("text"));
  expect((await failure(sign("text"))).code).toBe("pkcs11.closed");
});

test.each([
  ["no key named", {}],
  ["a key id that is no hex", { keyId: "xyz" }],
])("%s is the caller's mistake", async (_name, choice) => {
  const mistake = Promise.resolve().then(() =>
    pkcs11Sign({ library, tokenLabel, pin, ...choice })("t"),
  );
  expect((await failure(mistake)).code).toBe("argument.invalid");
});

test("the key that signs cannot be read back: not its value, not wrapped", () => {
  const { module, session } = openSession(hsm);
  module.C_FindObjectsInit(session, [{ type: native.CKA_LABEL, value: "sas" }]);
  const secret = module.C_FindObjects(session, 1)[0]!;
  module.C_FindObjectsFinal(session);
  expect(() => module.C_GetAttributeValue(session, secret, [{ type: native.CKA_VALUE }])).toThrow(
    "CKR_ATTRIBUTE_SENSITIVE",
  );
  const wrapping = module.C_GenerateKey(session, { mechanism: native.CKM_AES_KEY_GEN }, [
    { type: native.CKA_VALUE_LEN, value: 32 },
    { type: native.CKA_WRAP, value: true },
  ]);
  const wrapped = Buffer.alloc(256);
  expect(() =>
    module.C_WrapKey(session, { mechanism: native.CKM_AES_KEY_WRAP }, wrapping, secret, wrapped),
  ).toThrow("CKR_KEY_UNEXTRACTABLE");
  for (const type of [native.CKA_SENSITIVE, native.CKA_EXTRACTABLE])
    expect(() =>
      module.C_SetAttributeValue(session, secret, [
        { type, value: type === native.CKA_EXTRACTABLE },
      ]),
    ).toThrow(/CKR_ATTRIBUTE_READ_ONLY/);
});
