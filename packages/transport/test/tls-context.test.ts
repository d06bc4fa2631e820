import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { tlsDialer } from "@hubwire/transport";
import { expect, test } from "vitest";
import { defaultAuthorities } from "../src/tls-context.ts";
import { certificates } from "./tls-world.ts";

const extra = "-----BEGIN CERTIFICATE-----\nextra root";
const bundled = ["bundled root 1", "bundled root 2"];

test("a runtime that can be asked is asked for what it trusts", () => {
  const getCACertificates = (type: string): string[] => [`all of ${type}`];
  const env = { NODE_EXTRA_CA_CERTS: "/not/looked/at" };
  expect(defaultAuthorities({ rootCertificates: bundled, getCACertificates }, env)).toEqual([
    "all of default",
  ]);
});

test("on Node 20 it is the bundled roots and NODE_EXTRA_CA_CERTS", () => {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-trust-"));
  try {
    const file = join(folder, "extra.pem");
    writeFileSync(file, extra);
    const runtime = { rootCertificates: bundled };
    expect(defaultAuthorities(runtime, { NODE_EXTRA_CA_CERTS: file })).toEqual([...bundled, extra]);
    expect(defaultAuthorities(runtime, {})).toEqual(bundled);
    expect(defaultAuthorities(runtime, { NODE_EXTRA_CA_CERTS: "" })).toEqual(bundled);
    expect(defaultAuthorities(runtime, { NODE_EXTRA_CA_CERTS: join(folder, "none") })).toEqual(
      bundled,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const { cert, key } = certificates.server;
const pin = "pkcs11:object=k;pin-value=pin-12345";
const mistakes = [
  [{ cert, key, privateKeyEngine: "/no/such/pkcs11.so", privateKeyIdentifier: pin }, /both/],
  [{ cert, privateKeyEngine: "/no/such/pkcs11.so" }, /belong together/],
  [{ cert, privateKeyIdentifier: pin }, /belong together/],
  [
    { cert, privateKeyEngine: "/no/such/pkcs11.so", privateKeyIdentifier: pin },
    /there is no engine \/no\/such\/pkcs11\.so/,
  ],
  [{ cert }, /without its private key/],
] as const;
test.each(mistakes)(
  "a key that stays elsewhere and cannot be used is named: %#",
  (identity, says) => {
    const dial = tlsDialer({});
    let error: unknown;
    try {
      dial.check(identity);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: "transport.tls_credentials" });
    expect((error as Error).message).toMatch(says);
    expect(inspect(error, { depth: 9 })).not.toContain("pin-12345");
  },
);
