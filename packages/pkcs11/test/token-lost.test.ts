import { findEngine, pkcs11Certificate, pkcs11Sign } from "@hubwire/pkcs11";
import { afterAll, expect, test } from "vitest";
import { openModule } from "../src/module.ts";
import { library, softHsm } from "./support/soft-hsm.ts";

// What ends here ends for the whole process, so this file has one to itself.
const hsm = softHsm();
afterAll(() => hsm.remove());
Object.assign(process.env, hsm.env);
hsm.tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "ec", "--id", "01");
const { label: tokenLabel, pin } = hsm;
const cert = hsm.selfSigned("ec", "dev-ec", findEngine() ?? "");

/** Ends the login of this whole process, as a token does that is pulled out. */
function loseSessions(): void {
  const module = openModule(library);
  for (const slot of module.C_GetSlotList(true)) module.C_CloseAllSessions(slot);
}

test("a wrong PIN is the token's answer, before OpenSSL knows of the key", async () => {
  await using certificate = pkcs11Certificate({
    library,
    tokenLabel,
    keyLabel: "ec",
    pin: "00000000",
    cert,
  });
  await expect(certificate.identity()).rejects.toMatchObject({ code: "pkcs11.pin" });
});

test("a token that was away is lost for OpenSSL: it is said by name, and nothing asks for a PIN", async () => {
  const options = { library, tokenLabel, keyLabel: "ec", pin, cert };
  await using certificate = pkcs11Certificate(options);
  await using other = pkcs11Certificate(options);
  await certificate.identity();
  loseSessions();
  const stale = { code: "pkcs11.engine_stale", retryable: false };
  await expect(certificate.identity()).rejects.toMatchObject(stale);
  await expect(other.identity()).rejects.toMatchObject(stale);
  expect(() => pkcs11Certificate(options)).toThrow(expect.objectContaining(stale));
});

test("signing finds back to its token all the same", async () => {
  await using sign = pkcs11Sign({ library, tokenLabel, pin, keyLabel: "none" });
  await expect(sign("text")).rejects.toMatchObject({ code: "pkcs11.key_not_found" });
  loseSessions();
  await expect(sign("text")).rejects.toMatchObject({ code: "pkcs11.key_not_found" });
});
