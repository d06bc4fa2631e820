import { testCertificates } from "@hubwire/testkit";
import type { TestCertificate } from "@hubwire/testkit";
import type { PeerCertificate } from "@hubwire/transport";
import { webcrypto, X509Certificate } from "node:crypto";
import { describe as group, expect, test } from "vitest";
import type { AuthenticatorOptions } from "../../src/domain/auth/index.ts";
import type { Identity } from "../../src/domain/services.ts";
import {
  attempt,
  authenticator,
  identity,
  nowMs,
  outcome,
  tokenOf,
  x509Username,
} from "./fixtures.ts";

const certificates = await testCertificates();

/** What TLS would have told about this certificate. */
function peer(certificate: TestCertificate, chain: TestCertificate[] = []): PeerCertificate {
  return {
    raw: certificate.raw,
    commonName: certificate.commonName,
    sha1Thumbprint: certificate.sha1Thumbprint,
    sha256Thumbprint: certificate.sha256Thumbprint,
    validFromMs: certificate.notBefore.getTime(),
    validToMs: certificate.notAfter.getTime(),
    chain: chain.map(({ raw }) => raw),
  };
}

group("thumbprints", async () => {
  const mine = await certificates.selfSigned({ cn: "whatever" });
  const theirs = await certificates.selfSigned({ cn: "thumb" });
  const old = await certificates.selfSigned({
    cn: "x",
    notBefore: new Date(nowMs - 2e6),
    notAfter: new Date(nowMs - 1e6),
  });
  const early = await certificates.selfSigned({ cn: "x", notBefore: new Date(nowMs + 1e6) });
  const registered = (primary?: string, secondary?: string): Identity[] => [
    identity("thumb", {
      authentication: {
        type: "selfSigned",
        primaryThumbprint: primary,
        secondaryThumbprint: secondary,
      },
    }),
  ];
  const method =
    '{"scope":"device","type":"x509","issuer":"external","acceptingIpFilterRule":null}';

  test.each([
    ["SHA-1", registered(mine.sha1Thumbprint)],
    ["SHA-256", registered(mine.sha256Thumbprint)],
    ["lower case", registered(mine.sha256Thumbprint.toLowerCase())],
    ["the secondary one", registered(theirs.sha1Thumbprint, mine.sha1Thumbprint)],
    ["only a secondary one", registered(undefined, mine.sha1Thumbprint)],
  ])("by %s; CN does not matter and there is no expiry", async (_, identities) => {
    const result = await authenticator({}, identities).authenticateDevice(
      attempt({ ...x509Username("thumb"), certificate: peer(mine), password: "ignored" }),
    );
    expect(result).toMatchObject({
      authMethod: method,
      expiresAtMs: undefined,
      warning: undefined,
    });
  });

  test.each([
    ["another certificate", peer(theirs), "auth.thumbprint"],
    ["no certificate", undefined, "auth.certificate_missing"],
    ["a certificate that has ended", peer(old), "auth.certificate_expired"],
    ["a certificate that has not begun", peer(early), "auth.certificate_not_yet_valid"],
  ])("%s is refused", async (_, certificate, code) => {
    const result = authenticator({}, registered(mine.sha1Thumbprint)).authenticateDevice(
      attempt({ ...x509Username("thumb"), certificate }),
    );
    expect(await outcome(result)).toBe(code);
  });

  test("nothing registered lets nobody in", async () => {
    const result = authenticator({}, registered(undefined, "")).authenticateDevice(
      attempt({ ...x509Username("thumb"), certificate: peer(mine) }),
    );
    expect(await outcome(result)).toBe("auth.thumbprint");
  });

  test("a token instead of a certificate is the wrong type, a policy's too", async () => {
    for (const skn of [undefined, "device"]) {
      const password = await tokenOf({
        name: "",
        sr: "hub.example.net%2Fdevices%2Fthumb",
        signedBy: skn === undefined ? "primary" : "policy",
        seInS: 60,
        ...(skn !== undefined && { skn }),
      });
      const result = authenticator({}, registered(mine.sha1Thumbprint)).authenticateDevice(
        attempt({ ...x509Username("thumb"), password }),
      );
      expect(await outcome(result)).toBe("auth.wrong_type");
    }
  });

  test("a certificate instead of a token is the wrong type", async () => {
    expect(
      await outcome(authenticator().authenticateDevice(attempt({ certificate: peer(mine) }))),
    ).toBe("auth.wrong_type");
  });
});

/** root (a CA) signed issuer (no extensions at all), which signed leaf. */
async function unmarkedIssuer(
  cn: string,
): Promise<{ root: string; issuer: Uint8Array; leaf: Uint8Array }> {
  await import("reflect-metadata");
  const { BasicConstraintsExtension, X509CertificateGenerator } = await import("@peculiar/x509");
  const algorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
  const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" } as const;
  const dates = { notBefore: new Date(nowMs - 1e6), notAfter: new Date(nowMs + 1e9) };
  const make = async (
    subject: string,
    signer?: { keys: webcrypto.CryptoKeyPair; name: string },
  ) => {
    const made = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const certificate = await X509CertificateGenerator.create({
      ...dates,
      subject: `CN=${subject}`,
      issuer: `CN=${signer?.name ?? subject}`,
      publicKey: made.publicKey,
      signingKey: (signer?.keys ?? made).privateKey,
      signingAlgorithm,
      extensions: signer === undefined ? [new BasicConstraintsExtension(true)] : [],
    });
    return { keys: made, name: subject, certificate };
  };
  const root = await make("Plain Root");
  const issuer = await make("Plain Issuer", root);
  const leaf = await make(cn, issuer);
  const raw = ({ certificate }: { certificate: { rawData: ArrayBuffer } }): Uint8Array =>
    new Uint8Array(certificate.rawData);
  return { root: root.certificate.toString("pem"), issuer: raw(issuer), leaf: raw(leaf) };
}

group("certificates signed by a CA", async () => {
  const { root } = certificates;
  const otherRoot = await certificates.ca({ cn: "Other Root" });
  const middle = await certificates.ca({ cn: "Middle", issuer: root });
  const low = await certificates.ca({ cn: "Low", issuer: middle });
  const impostor = await certificates.ca({ cn: "Hubwire Test Root" });
  const ended = { notBefore: new Date(nowMs - 2e9), notAfter: new Date(nowMs - 1e9) };
  const oldMiddle = await certificates.ca({ cn: "Old Middle", issuer: root, ...ended });
  const oldRoot = await certificates.ca({ cn: "Old Root", ...ended });
  const leaf = (cn: string, issuer?: TestCertificate): Promise<TestCertificate> =>
    certificates.issue({ cn, ...(issuer !== undefined && { issuer }) });
  const direct = await leaf("signed");
  const deep = await leaf("signed", low);
  const byLeaf = await leaf("signed", direct);
  const cas = { deviceCas: [root.cert] };

  // A certificate that says nothing of what its key may do, and what that key signed.
  const plain = await unmarkedIssuer("signed");
  const tampered = direct.raw.slice();
  tampered[tampered.length - 1]! ^= 1;

  type Chain = [
    name: string,
    certificate: PeerCertificate,
    options: Partial<AuthenticatorOptions>,
    code?: string,
  ];
  const chains: Chain[] = [
    ["issued by the CA", peer(direct), cas],
    ["with intermediates", peer(deep, [low, middle]), cas],
    ["with intermediates in any order, and the root", peer(deep, [root, middle, low]), cas],
    ["the registered CA may be an intermediate", peer(deep, [low]), { deviceCas: [middle.cert] }],
    ["two CAs in one PEM text", peer(direct), { deviceCas: [`${otherRoot.cert}\n${root.cert}`] }],
    ["without its intermediate", peer(deep, [middle]), cas, "auth.certificate_untrusted"],
    ["without any intermediate", peer(deep), cas, "auth.certificate_untrusted"],
    [
      "by a CA nobody registered",
      peer(direct),
      { deviceCas: [otherRoot.cert] },
      "auth.certificate_untrusted",
    ],
    ["with no CA registered", peer(direct), {}, "auth.certificate_untrusted"],
    [
      "by an impostor of the same name",
      peer(await leaf("signed", impostor), [impostor]),
      cas,
      "auth.certificate_untrusted",
    ],
    ["by a leaf", peer(byLeaf, [direct]), cas, "auth.certificate_untrusted"],
    [
      "by a certificate that is not marked as a CA",
      { ...peer(direct), raw: plain.leaf, chain: [plain.issuer] },
      { deviceCas: [plain.root] },
      "auth.certificate_untrusted",
    ],
    [
      "with a signature that does not fit",
      { ...peer(direct), raw: tampered },
      cas,
      "auth.certificate_untrusted",
    ],
    [
      "through an intermediate that has ended",
      peer(await leaf("signed", oldMiddle), [oldMiddle]),
      cas,
      "auth.certificate_untrusted",
    ],
    [
      "by a CA that has ended",
      peer(await leaf("signed", oldRoot)),
      { deviceCas: [oldRoot.cert] },
      "auth.certificate_untrusted",
    ],
    [
      "self-signed",
      peer(await certificates.selfSigned({ cn: "signed" })),
      cas,
      "auth.certificate_untrusted",
    ],
    ["CN of another device", peer(await leaf("other")), cas, "auth.certificate_cn"],
    ["CN in another case", peer(await leaf("Signed")), cas, "auth.certificate_cn"],
    ["no CN", { ...peer(direct), commonName: undefined }, cas, "auth.certificate_cn"],
    [
      "ended leaf",
      peer(await certificates.issue({ cn: "signed", ...ended })),
      cas,
      "auth.certificate_expired",
    ],
    [
      "garbage instead of a leaf",
      { ...peer(direct), raw: Uint8Array.of(1, 2, 3) },
      cas,
      "auth.certificate_untrusted",
    ],
    [
      "garbage in the chain",
      { ...peer(deep), chain: [Uint8Array.of(1), low.raw, middle.raw] },
      cas,
    ],
  ];
  test.each(chains)("%s", async (_, certificate, options, code) => {
    const result = await outcome(
      authenticator(options).authenticateDevice(
        attempt({ ...x509Username("signed"), certificate }),
      ),
    );
    if (code === undefined) expect(result).toMatchObject({ ref: { deviceId: "signed" } });
    else expect(result).toBe(code);
  });

  test("a module's CN is device/module", async () => {
    const auth = authenticator(cas);
    const good = attempt({
      ...x509Username("signed/mod1"),
      certificate: peer(await leaf("signed/mod1")),
    });
    expect(await auth.authenticateDevice(good)).toMatchObject({
      ref: { deviceId: "signed", moduleId: "mod1" },
      authMethod:
        '{"scope":"module","type":"x509","issuer":"external","acceptingIpFilterRule":null}',
    });
    const devices = attempt({ ...x509Username("signed/mod1"), certificate: peer(direct) });
    expect(await outcome(auth.authenticateDevice(devices))).toBe("auth.certificate_cn");
  });

  test("a long chain of strangers is not walked for ever", async () => {
    const strangers = Array.from({ length: 50 }, () => otherRoot);
    const sent = attempt({ ...x509Username("signed"), certificate: peer(deep, strangers) });
    expect(await outcome(authenticator(cas).authenticateDevice(sent))).toBe(
      "auth.certificate_untrusted",
    );
  });

  test("the guide's snippet: no user name is taken by client id with a warning, unless told to be strict", async () => {
    const sent = attempt({ clientId: "signed", username: undefined, certificate: peer(direct) });
    const admission = await authenticator(cas).authenticateDevice(sent);
    expect(admission.warning).toMatch(/Azure refuses this/);
    const strict = authenticator({ ...cas, strictUserName: true });
    expect(await outcome(strict.authenticateDevice(sent))).toBe("auth.username_missing");
    const noCertificate = { ...sent, certificate: undefined };
    expect(await outcome(authenticator(cas).authenticateDevice(noCertificate))).toBe(
      "auth.username_missing",
    );
    const sasDevice = { ...sent, clientId: "dev1" };
    expect(await outcome(authenticator(cas).authenticateDevice(sasDevice))).toBe("auth.wrong_type");
  });

  test("what is no CA is refused when the hub starts", () => {
    expect(() => authenticator({ deviceCas: [direct.cert] })).toThrow(
      /is not a CA certificate: CN=signed/,
    );
    expect(() => authenticator({ deviceCas: ["hello"] })).toThrow(/holds no PEM certificate/);
    const broken = root.cert.replace(/\n[^\n]+\n/, "\nAAAA\n");
    expect(() => authenticator({ deviceCas: [broken] })).toThrow(/cannot be read/);
    expect(new X509Certificate(root.cert).ca).toBe(true);
  });
});
