import { createHash, webcrypto } from "node:crypto";
import type * as x509 from "@peculiar/x509";

/** A certificate with its key, as programs take them. Made for one test run; nothing of it is ever written to the repository. */
export type TestCertificate = {
  commonName: string;
  /** PEM of this certificate alone; every PEM here ends with a new line. */
  cert: string;
  /** PEM, PKCS#8. */
  key: string;
  /** PEM of the intermediates above it, nearest first, without the root; "" when the root issued it. */
  chain: string;
  /** `cert` and `chain` in one text, as servers send it. */
  fullChain: string;
  /** DER. */
  raw: Uint8Array;
  /** Upper-case hex without colons. */
  sha1Thumbprint: string;
  sha256Thumbprint: string;
  notBefore: Date;
  notAfter: Date;
};

export type Validity = {
  /** Default one hour before the call. */
  notBefore?: Date;
  /** Default `days` after `notBefore`. */
  notAfter?: Date;
  /** Default 30. */
  days?: number;
};

export type IssueOptions = Validity & {
  /** Subject common name. */
  cn: string;
  /** DNS names and IP addresses for subjectAltName; default none. */
  san?: readonly string[];
  /** Default the root. */
  issuer?: TestCertificate;
};

export type AuthorityOptions = Validity & {
  cn: string;
  /** Makes it an intermediate; default a root of its own. */
  issuer?: TestCertificate;
};

export type TestCertificates = {
  /** The root that issues unless told otherwise. */
  readonly root: TestCertificate;
  /** For localhost, its subdomains and the loopback addresses; issued by the root. */
  readonly server: TestCertificate;
  /** Another certificate authority: a root, or with `issuer` an intermediate. */
  ca(options: AuthorityOptions): Promise<TestCertificate>;
  /** A leaf for a server or a device. */
  issue(options: IssueOptions): Promise<TestCertificate>;
  /** A leaf that is its own issuer, as devices with registered thumbprints use. */
  selfSigned(options: Omit<IssueOptions, "issuer">): Promise<TestCertificate>;
};

/** A wildcard needs two labels after the star: Node and OpenSSL refuse to match `*.localhost`. */
export const loopbackNames = ["localhost", "*.hub.localhost", "127.0.0.1", "::1"] as const;

const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" } as const;
const dayMs = 86_400_000;

type Made = {
  keys: webcrypto.CryptoKeyPair;
  certificate: x509.X509Certificate;
  issuer: Made | undefined;
};

/** A small certificate authority for tests: P-256 keys, a root and a loopback server to start with, anything else on demand. */
export async function testCertificates(): Promise<TestCertificates> {
  // The library needs its metadata polyfill before it is loaded.
  await import("reflect-metadata");
  const library = await import("@peculiar/x509");
  const made = new WeakMap<TestCertificate, Made>();

  const make = async (
    options: AuthorityOptions & { san?: readonly string[] },
    issuer: Made | undefined,
    kind: "authority" | "leaf",
  ): Promise<TestCertificate> => {
    const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
    const { notBefore, notAfter } = datesOf(options);
    const certificate = await library.X509CertificateGenerator.create({
      subject: subjectOf(options.cn),
      issuer: issuer === undefined ? subjectOf(options.cn) : issuer.certificate.subjectName,
      notBefore,
      notAfter,
      publicKey: keys.publicKey,
      signingKey: (issuer?.keys ?? keys).privateKey,
      signingAlgorithm,
      extensions: await extensionsOf(library, kind, keys, issuer?.keys ?? keys, options.san ?? []),
    });
    const record: Made = { keys, certificate, issuer };
    const result = await present(options.cn, record);
    made.set(result, record);
    return result;
  };

  const recordOf = (certificate: TestCertificate): Made => {
    const record = made.get(certificate);
    if (record === undefined)
      throw new Error(`${certificate.commonName} was made by another test authority`);
    return record;
  };

  const root = await make({ cn: "Hubwire Test Root", days: 365 }, undefined, "authority");
  const issue = (options: IssueOptions): Promise<TestCertificate> =>
    make(options, recordOf(options.issuer ?? root), "leaf");
  return {
    root,
    server: await issue({ cn: "localhost", san: loopbackNames }),
    issue,
    ca: (options) => make(options, options.issuer && recordOf(options.issuer), "authority"),
    selfSigned: (options) => make(options, undefined, "leaf"),
  };
}

function subjectOf(cn: string): x509.JsonName {
  return [{ CN: [cn] }];
}

function datesOf(options: Validity): { notBefore: Date; notAfter: Date } {
  const notBefore = options.notBefore ?? new Date(Date.now() - 3_600_000);
  const notAfter = options.notAfter ?? new Date(notBefore.getTime() + (options.days ?? 30) * dayMs);
  return { notBefore, notAfter };
}

async function extensionsOf(
  library: typeof x509,
  kind: "authority" | "leaf",
  keys: webcrypto.CryptoKeyPair,
  issuerKeys: webcrypto.CryptoKeyPair,
  san: readonly string[],
): Promise<x509.Extension[]> {
  const { KeyUsageFlags: usage, ExtendedKeyUsage: extended } = library;
  const isAuthority = kind === "authority";
  const extensions: x509.Extension[] = [
    new library.BasicConstraintsExtension(isAuthority, undefined, true),
    new library.KeyUsagesExtension(
      isAuthority ? usage.keyCertSign | usage.cRLSign : usage.digitalSignature,
      true,
    ),
    await library.SubjectKeyIdentifierExtension.create(keys.publicKey),
    await library.AuthorityKeyIdentifierExtension.create(issuerKeys.publicKey),
  ];
  if (!isAuthority) {
    extensions.push(
      new library.ExtendedKeyUsageExtension([extended.serverAuth, extended.clientAuth]),
    );
  }
  if (san.length > 0) {
    const names = san.map((name): x509.JsonGeneralName => ({
      type: isAddress(name) ? "ip" : "dns",
      value: name,
    }));
    extensions.push(new library.SubjectAlternativeNameExtension(names));
  }
  return extensions;
}

function isAddress(name: string): boolean {
  return name.includes(":") || /^\d+\.\d+\.\d+\.\d+$/.test(name);
}

async function present(commonName: string, record: Made): Promise<TestCertificate> {
  const { certificate, keys } = record;
  const raw = new Uint8Array(certificate.rawData);
  const cert = pem("CERTIFICATE", raw);
  const chain = chainAbove(record);
  const pkcs8 = new Uint8Array(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  return {
    commonName,
    cert,
    key: pem("PRIVATE KEY", pkcs8),
    chain,
    fullChain: cert + chain,
    raw,
    sha1Thumbprint: thumbprint("sha1", raw),
    sha256Thumbprint: thumbprint("sha256", raw),
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
  };
}

function chainAbove(record: Made): string {
  const above: string[] = [];
  for (let next = record.issuer; next?.issuer !== undefined; next = next.issuer) {
    above.push(pem("CERTIFICATE", new Uint8Array(next.certificate.rawData)));
  }
  return above.join("");
}

function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

function thumbprint(hash: "sha1" | "sha256", raw: Uint8Array): string {
  return createHash(hash).update(raw).digest("hex").toUpperCase();
}
