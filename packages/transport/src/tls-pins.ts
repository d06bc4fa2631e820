import { crypto } from "./builtins.ts";
import type { X509Certificate } from "node:crypto";
import { IotError } from "@hubwire/protocol";

/**
 * Public keys of certificate authorities (roots or intermediates) of which the server's chain must hold one, on top of the
 * usual validation and never instead of it. Give at least two, the one in use and its successor, so that the server's
 * authority can change without losing the device.
 */
export type PinOptions = {
  /** SHA-256 of a SubjectPublicKeyInfo (DER), base64, 44 characters; as `openssl … | openssl dgst -sha256 -binary | base64`. */
  sha256: readonly string[];
  /** `enforce` (default) ends the connection when none matches; `report` only tells. */
  mode?: "enforce" | "report";
  /** Told of each mismatch and, from 30 days before `expiresAt`, once a day that the pins want replacing. Default: a process warning. */
  onReport?: (report: PinReport) => void;
  /** When the pins are to be replaced at the latest. Pins stay in force after it: they never weaken by themselves. */
  expiresAt?: Date;
};

export type PinReport =
  | {
      kind: "mismatch";
      host: string;
      port: number;
      /** The chain as it was validated, the server's own certificate first. */
      presented: readonly PresentedKey[];
      enforced: boolean;
    }
  | { kind: "expiring" | "expired"; expiresAt: Date };

export type PresentedKey = { subject: string; sha256: string };

const dayMs = 86_400_000;
const warnBeforeMs = 30 * dayMs;

/** The pins of one dialer, checked once and asked after each full handshake. */
export class Pins {
  readonly #pins: ReadonlySet<string>;
  readonly #enforced: boolean;
  readonly #onReport: (report: PinReport) => void;
  readonly #expiresAtMs: number;
  #warnedAtMs = -Infinity;

  /** @throws IotError `argument.invalid` */
  constructor(options: PinOptions) {
    const { sha256, mode = "enforce", onReport, expiresAt } = options;
    if (!Array.isArray(sha256) || sha256.length === 0)
      throw invalid("pins.sha256 holds at least one SHA-256 of a public key");
    for (const pin of sha256) checkPin(pin);
    if (mode !== "enforce" && mode !== "report")
      throw invalid(`pins.mode is enforce or report, not ${String(mode)}`);
    this.#pins = new Set(sha256);
    this.#enforced = mode === "enforce";
    this.#onReport = onReport ?? warn;
    this.#expiresAtMs = expiresAt?.getTime() ?? Infinity;
    if (Number.isNaN(this.#expiresAtMs)) throw invalid("pins.expiresAt is not a date");
  }

  /**
   * @param linked DER of the server's certificate and its issuers, the nearest first, after validation
   * @throws IotError `transport.tls_pin` when pins are enforced and none is in the chain
   */
  check(linked: readonly Uint8Array[], server: { host: string; port: number }): void {
    this.#warnOfExpiry(Date.now());
    const presented = signedChain(linked).map(keyOf);
    if (presented.some(({ sha256 }) => this.#pins.has(sha256))) return;
    const { host, port } = server;
    this.#onReport({ kind: "mismatch", host, port, presented, enforced: this.#enforced });
    if (!this.#enforced) return;
    throw new IotError("transport.tls_pin", describeMismatch(host, port, presented));
  }

  #warnOfExpiry(wallMs: number): void {
    const leftMs = this.#expiresAtMs - wallMs;
    if (leftMs > warnBeforeMs || Math.abs(wallMs - this.#warnedAtMs) < dayMs) return;
    this.#warnedAtMs = wallMs;
    const kind = leftMs > 0 ? "expiring" : "expired";
    this.#onReport({ kind, expiresAt: new Date(this.#expiresAtMs) });
  }
}

/** SHA-256 of the certificate's public key, as `pins.sha256` takes it. `certificate`: PEM or DER. */
export function publicKeyPin(certificate: string | Uint8Array): string {
  return keyOf(new (crypto().X509Certificate)(certificate)).sha256;
}

/**
 * From the leaf up, as far as each signature holds. Node links a chain by names alone, so that a server could slip in a
 * certificate with a pinned key which signed nothing; and each issuer has to be an authority.
 */
function signedChain(linked: readonly Uint8Array[]): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (const der of linked) {
    const certificate = new (crypto().X509Certificate)(der);
    const below = chain.at(-1);
    if (below !== undefined && !signed(below, certificate)) break;
    chain.push(certificate);
  }
  return chain;
}

const signed = (below: X509Certificate, issuer: X509Certificate): boolean =>
  issuer.ca && below.checkIssued(issuer) && below.verify(issuer.publicKey);

function keyOf(certificate: X509Certificate): PresentedKey {
  const spki = certificate.publicKey.export({ type: "spki", format: "der" });
  return {
    subject: certificate.subject.replaceAll("\n", ", "),
    sha256: crypto().createHash("sha256").update(spki).digest("base64"),
  };
}

function checkPin(pin: unknown): void {
  const isHash = typeof pin === "string" && /^[A-Za-z0-9+/]{43}=$/.test(pin);
  if (isHash && Buffer.from(pin, "base64").toString("base64") === pin) return;
  throw invalid(
    `pins.sha256 holds base64 of 32 bytes each (44 characters), not ${JSON.stringify(pin)}`,
  );
}

function describeMismatch(host: string, port: number, presented: readonly PresentedKey[]): string {
  const keys = presented.map(({ subject, sha256 }) => `${sha256} (${subject})`).join(", ");
  return `none of the pinned public keys is in the chain of ${host}:${port}, which is: ${keys || "empty"}`;
}

function warn(report: PinReport): void {
  const text =
    report.kind === "mismatch"
      ? describeMismatch(report.host, report.port, report.presented)
      : `the pinned public keys want replacing: they are good until ${report.expiresAt.toISOString()}`;
  process.emitWarning(text, "HubwireWarning");
}

const invalid = (message: string): IotError => new IotError("argument.invalid", message);
