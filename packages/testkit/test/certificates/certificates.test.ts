import { createPrivateKey, X509Certificate } from "node:crypto";
import { testCertificates } from "@hubwire/testkit";
import { expect, test } from "vitest";

const certificates = await testCertificates();

test("a chain of two intermediates verifies link by link up to the root", async () => {
  const upper = await certificates.ca({ cn: "Upper", issuer: certificates.root });
  const lower = await certificates.ca({ cn: "Lower", issuer: upper });
  const leaf = await certificates.issue({ cn: "device", issuer: lower });
  const links = [leaf, lower, upper, certificates.root].map(
    ({ cert }) => new X509Certificate(cert),
  );
  for (const [index, link] of links.entries()) {
    const issuer = links[Math.min(index + 1, links.length - 1)] as X509Certificate;
    expect([link.checkIssued(issuer), link.verify(issuer.publicKey), link.ca]).toEqual([
      true,
      true,
      index > 0,
    ]);
  }
  expect(leaf.chain).toBe(lower.cert + upper.cert);
  expect(leaf.fullChain).toBe(leaf.cert + leaf.chain);
});

test("what is said about a certificate is what is in it", async () => {
  const notBefore = new Date("2020-01-01T00:00:00Z");
  const leaf = await certificates.issue({
    cn: "Device, 1/mod=x",
    san: ["a.example", "10.0.0.1"],
    notBefore,
    days: 2,
  });
  const parsed = new X509Certificate(leaf.cert);
  expect(parsed.toLegacyObject().subject).toMatchObject({ CN: "Device, 1/mod=x" });
  expect(parsed.subjectAltName).toBe("DNS:a.example, IP Address:10.0.0.1");
  expect(parsed.fingerprint.replaceAll(":", "")).toBe(leaf.sha1Thumbprint);
  expect(parsed.fingerprint256.replaceAll(":", "")).toBe(leaf.sha256Thumbprint);
  expect(new Date(parsed.validFrom)).toEqual(notBefore);
  expect(new Date(parsed.validTo)).toEqual(new Date("2020-01-03T00:00:00Z"));
  expect(parsed.checkPrivateKey(createPrivateKey(leaf.key))).toBe(true);
  expect(parsed.publicKey.asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
});

test("a self-signed certificate is its own issuer and no authority", async () => {
  const own = await certificates.selfSigned({ cn: "own" });
  const parsed = new X509Certificate(own.cert);
  expect([parsed.verify(parsed.publicKey), parsed.ca, own.chain]).toEqual([true, false, ""]);
  expect(parsed.issuer).toBe(parsed.subject);
});

test("the server certificate is for this machine by all its names", () => {
  const server = new X509Certificate(certificates.server.cert);
  expect(server.checkHost("localhost")).toBe("localhost");
  expect(server.checkHost("my.hub.localhost")).toBe("*.hub.localhost");
  expect(server.checkIP("127.0.0.1")).toBe("127.0.0.1");
  expect(server.checkIP("::1")).toBe("::1");
  expect(server.checkHost("elsewhere.example")).toBeUndefined();
});

test("a certificate of another test authority cannot issue here", async () => {
  const stranger = await testCertificates();
  await expect(async () => certificates.issue({ cn: "x", issuer: stranger.root })).rejects.toThrow(
    /another test authority/,
  );
});
