import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import type { ChainMemory } from "./chain-memory.ts";
import type { PeerCertificate } from "./stream.ts";

/** More certificates than any real chain has: a peer may send what it likes. */
const chainMax = 16;

/** What the client presented, or undefined: cheap when it presented nothing, which is the usual case. */
export function peerCertificateOf(
  socket: TLSSocket,
  memory: ChainMemory,
): PeerCertificate | undefined {
  // Typed as always there; without a certificate it is empty, on a dead socket null.
  const leaf = socket.getPeerCertificate(true) as Partial<DetailedPeerCertificate> | null;
  if (leaf?.raw === undefined) return undefined;
  return describe(leaf as DetailedPeerCertificate, socket.isSessionReused(), memory);
}

/** DER of what the peer presented and what this side's store adds to it, linked by issuer, the peer's own first. */
export function linkedChain(socket: TLSSocket): Uint8Array[] {
  const leaf = socket.getPeerCertificate(true) as Partial<DetailedPeerCertificate> | null;
  if (leaf?.raw === undefined) return [];
  return [leaf.raw, ...chainAbove(leaf as DetailedPeerCertificate)];
}

function describe(
  leaf: DetailedPeerCertificate,
  isResumed: boolean,
  memory: ChainMemory,
): PeerCertificate {
  const sha256Thumbprint = thumbprint(leaf.fingerprint256);
  const presented = chainAbove(leaf);
  if (!isResumed) memory.remember(sha256Thumbprint, presented);
  return {
    raw: leaf.raw,
    commonName: commonNameOf(leaf),
    sha1Thumbprint: thumbprint(leaf.fingerprint),
    sha256Thumbprint,
    validFromMs: Date.parse(leaf.valid_from),
    validToMs: Date.parse(leaf.valid_to),
    chain: presented.length === 0 && isResumed ? memory.recall(sha256Thumbprint) : presented,
  };
}

function chainAbove(leaf: DetailedPeerCertificate): Uint8Array[] {
  const chain: Uint8Array[] = [];
  const seen = new Set([leaf.fingerprint256]);
  // A root is its own issuer, and cross-signed certificates can go in circles.
  for (
    let above = leaf.issuerCertificate;
    above?.raw !== undefined;
    above = above.issuerCertificate
  ) {
    if (seen.has(above.fingerprint256) || chain.length === chainMax) break;
    seen.add(above.fingerprint256);
    chain.push(above.raw);
  }
  return chain;
}

/** Several common names leave open which one is meant: then there is none. */
function commonNameOf(certificate: DetailedPeerCertificate): string | undefined {
  const name = certificate.subject?.CN as string | string[] | undefined;
  return typeof name === "string" ? name : undefined;
}

function thumbprint(fingerprint: string): string {
  return fingerprint.replaceAll(":", "").toUpperCase();
}
