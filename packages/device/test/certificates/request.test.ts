import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { makeCertificateRequest, requestPem } from "@hubwire/device/certificates";
import { issueRequested, testCertificates } from "@hubwire/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { bitString, objectId, sequence, utf8String } from "../../src/certificates/der.ts";

const openssl = (args: string[], input: string): string =>
  execFileSync("openssl", args, { input, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });

test.each(["dev1", "a".repeat(64), "device-_.:1@x"])(
  "OpenSSL verifies a request for %s",
  async (name) => {
    const { csr, key } = await makeCertificateRequest(name);
    const text = openssl(
      ["req", "-verify", "-noout", "-text", "-nameopt", "utf8"],
      requestPem(csr),
    );
    expect(text).toMatch(/Version: 1 \(0x0\)/);
    expect(text.replaceAll("\\", "").replaceAll(" = ", "=")).toContain(`CN=${name}`);
    expect(text).toContain("NIST CURVE: P-384");
    expect(text).toContain("ecdsa-with-SHA384");
    expect(() => openssl(["req", "-verify", "-noout"], requestPem(csr))).not.toThrow();
    const made = createPublicKey(createPrivateKey(key)).export({ type: "spki", format: "pem" });
    expect(openssl(["req", "-pubkey", "-noout"], requestPem(csr))).toBe(made);
  },
);

test("a certificate authority of another make issues from it", async () => {
  const { root } = await testCertificates();
  const { csr, key } = await makeCertificateRequest("dev1");
  const dates = { notBefore: new Date(0), notAfter: new Date("2100-01-01T00:00:00Z") };
  const der = Buffer.from(csr, "base64");
  const leaf = new X509Certificate(await issueRequested(der, root, dates));
  expect(leaf.subject).toBe("CN=dev1");
  expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true);
  expect(leaf.checkIssued(new X509Certificate(root.cert))).toBe(true);
  // The name is what was signed.
  const changed = Buffer.from(der);
  changed.write("dev2", changed.indexOf("dev1"), "utf8");
  await expect(issueRequested(changed, root, dates)).rejects.toThrow("not signed by its own key");
});

test("each request has a key of its own", async () => {
  const [one, two] = await Promise.all([makeCertificateRequest("d"), makeCertificateRequest("d")]);
  expect(one.key).not.toBe(two.key);
});

test.each(["", "a".repeat(65)])("no common name has %j", async (name) => {
  await expect(makeCertificateRequest(name)).rejects.toMatchObject({ code: "argument.invalid" });
});

test.each([
  // ITU-T X.690 §8.19.5 and §8.1.3; RFC 5480; RFC 5758.
  [objectId("2.100.3"), "060381 3403"],
  [objectId("1.2.840.10045.4.3.3"), "06082a8648ce3d040303"],
  [objectId("2.5.4.3"), "0603550403"],
  [utf8String("é"), "0c02c3a9"],
  [bitString(Buffer.from([1])), "03020001"],
  [sequence(Buffer.alloc(127)).subarray(0, 3), "307f00"],
  [sequence(Buffer.alloc(128)).subarray(0, 4), "30818000"],
  [sequence(Buffer.alloc(256)).subarray(0, 5), "3082010000"],
  [sequence(Buffer.alloc(65_536)).subarray(0, 6), "308301000000"],
])("DER, example %#", (der, hex) => {
  expect(der.toString("hex")).toBe(hex.replaceAll(" ", ""));
});

test("a length is as short as it can be, and right", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 70_000 }), (length) => {
      const der = sequence(Buffer.alloc(length, 7));
      const first = der[1] ?? 0;
      const count = first < 128 ? 0 : first & 0x7f;
      expect(count === 0 ? first : der.readUIntBE(2, count)).toBe(length);
      expect(der.length).toBe(2 + count + length);
      expect(count).toBe(length < 128 ? 0 : length < 256 ? 1 : length < 65_536 ? 2 : 3);
    }),
  );
});
