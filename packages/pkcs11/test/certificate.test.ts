import { writeFileSync } from "node:fs";
import { createServer, createSecureContext, connect } from "node:tls";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { inspect } from "node:util";
import { findEngine, pkcs11Certificate, pkcs11X509Credentials } from "@hubwire/pkcs11";
import type { Pkcs11CertificateOptions } from "@hubwire/pkcs11";
import type { IotError } from "@hubwire/protocol";
import { testCertificates } from "@hubwire/testkit";
import { afterAll, expect, test } from "vitest";
import { library, softHsm } from "./support/soft-hsm.ts";

const hsm = softHsm("a token; with=odd %characters");
afterAll(() => hsm.remove());
Object.assign(process.env, hsm.env);
hsm.tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "ec", "--id", "01");
hsm.tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "other", "--id", "03");
hsm.tool("--keypairgen", "--key-type", "rsa:2048", "--label", "rsa", "--id", "02");
const { label: tokenLabel, pin } = hsm;
const engine = findEngine() ?? "";
const certs = {
  ec: hsm.selfSigned("ec", "dev-ec", engine),
  rsa: hsm.selfSigned("rsa", "dev-rsa", engine),
};
const authority = await testCertificates();
const good: Pkcs11CertificateOptions = { library, tokenLabel, keyLabel: "ec", pin, cert: certs.ec };

const failure = async (options: Pkcs11CertificateOptions): Promise<IotError> => {
  let certificate;
  try {
    certificate = pkcs11Certificate(options);
    await certificate.identity();
  } catch (error) {
    return error as IotError;
  } finally {
    await certificate?.close();
  }
  return expect.fail("it worked");
};

test.each([
  ["ec", "TLSv1.3"],
  ["rsa", "TLSv1.3"],
  ["ec", "TLSv1.2"],
  ["rsa", "TLSv1.2"],
] as const)(
  "the %s key in the token proves the certificate in a handshake of %s",
  async (key, version) => {
    await using certificate = pkcs11Certificate({ ...good, keyLabel: key, cert: certs[key] });
    const identity = await certificate.identity();
    const server = createServer({
      key: authority.server.key,
      cert: authority.server.fullChain,
      // So that the certificate counts as proven: its own root.
      ca: [certs.ec, certs.rsa],
      requestCert: true,
      rejectUnauthorized: true,
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const seen = new Promise<unknown>((resolve, reject) => {
      server.once("tlsClientError", reject);
      server.once("secureConnection", (socket) => {
        resolve({
          proven: socket.authorized,
          version: socket.getProtocol(),
          cn: socket.getPeerCertificate().subject.CN,
        });
        socket.destroy();
      });
    });
    const { port } = server.address() as AddressInfo;
    const socket = connect({
      port,
      host: "127.0.0.1",
      servername: "localhost",
      ca: authority.root.cert,
      minVersion: version,
      maxVersion: version,
      ...identity,
    });
    socket.on("error", () => undefined);
    try {
      expect(await seen).toEqual({ proven: true, version, cn: `dev-${key}` });
    } finally {
      socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    }
  },
);

test("nothing OpenSSL gets holds the PIN, nor does what shows of the certificate", async () => {
  await using certificate = pkcs11Certificate(good);
  const identity = await certificate.identity();
  expect(identity).toEqual({
    cert: certs.ec,
    privateKeyEngine: "pkcs11",
    privateKeyIdentifier:
      "pkcs11:token=a%20token%3B%20with%3Dodd%20%25characters;object=ec;type=private",
  });
  expect(inspect([certificate, identity], { depth: 9, showHidden: true })).not.toContain(pin);
});

test("it stays one object, and a second certificate of the same token does not disturb it", async () => {
  await using certificate = pkcs11Certificate(good);
  const first = await certificate.identity();
  const second = pkcs11Certificate({ ...good, keyLabel: "rsa", cert: certs.rsa });
  createSecureContext(await second.identity());
  await second.close();
  expect(await certificate.identity()).toBe(first);
  createSecureContext(first);
});

test("an end is known: the certificate's", () => {
  const days = (pkcs11Certificate(good).expiresAtMs - Date.now()) / 86_400_000;
  expect(Math.round(days)).toBe(30);
});

test("a certificate that has ended is not presented", async () => {
  const provider = pkcs11X509Credentials(good);
  const scope = { hostName: "hub.example", deviceId: "dev-ec" };
  const request = (wallMs: number) => ({
    wallMs,
    fresh: false,
    signal: new AbortController().signal,
  });
  const { expiresAtMs } = await provider.next(scope, request(Date.now()));
  await expect(provider.next(scope, request(expiresAtMs))).rejects.toMatchObject({
    code: "device.certificate_expired",
  });
  provider.close?.();
});

const token = encodeURIComponent(tokenLabel);
const pinFile = join(hsm.folder, "pin");
writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 });

test.each([
  ["a PIN in the URI", `pkcs11:token=${token};object=ec?pin-value=${pin}`],
  ["a PIN file in the URI", `pkcs11:token=${token};id=%01;type=private?pin-source=file:${pinFile}`],
])("%s is used, and does not go on to OpenSSL", async (_name, uri) => {
  await using certificate = pkcs11Certificate({ library, uri, cert: certs.ec });
  const identity = await certificate.identity();
  expect(identity.privateKeyIdentifier).not.toMatch(/pin/);
  createSecureContext(identity);
});

test.each([
  ["another key's certificate", { keyLabel: "other" }, "pkcs11.key_mismatch"],
  ["an RSA key for an EC certificate", { keyLabel: "rsa" }, "pkcs11.key_mismatch"],
  ["an EC key for an RSA certificate", { cert: certs.rsa }, "pkcs11.key_mismatch"],
  ["no such key", { keyLabel: "none" }, "pkcs11.key_not_found"],
  ["no such token", { tokenLabel: "none" }, "pkcs11.token_not_found"],
  ["an engine of another name", { engine: "/etc/passwd" }, "pkcs11.engine"],
  ["no such engine", { engine: "/nowhere/pkcs11.so" }, "pkcs11.engine"],
  ["a second module beside the first", { library: "/usr/lib/other.so" }, "pkcs11.engine"],
  ["a certificate that is none", { cert: "PEM" }, "argument.invalid"],
  ["a URI that is none", { uri: "file:/key" }, "argument.invalid"],
  ["no key named", { keyLabel: undefined }, "argument.invalid"],
  ["no PIN", { pin: undefined }, "pkcs11.pin"],
] as const)("%s is found before the first handshake", async (_name, wrong, code) => {
  expect((await failure({ ...good, ...wrong })).code).toBe(code);
});
