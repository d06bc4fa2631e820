import { createHmac, X509Certificate } from "node:crypto";
import { decodeBase64Lenient, parseSasToken, verifySasSignature } from "@hubwire/protocol";
import type { JsonValue, ParsedSasToken } from "@hubwire/protocol";
import { dpsPolicyName, dpsSasResource } from "@hubwire/protocol/dps";
import type { PeerCertificate } from "@hubwire/transport";

/** What a device is registered with at its hub: what the service does there before it answers "assigned". */
export type HubAuthentication =
  | { type: "sas"; primaryKey: string; secondaryKey: string }
  | { type: "selfSigned"; sha256Thumbprint: string }
  | { type: "certificateAuthority" };

export type AllocationRequest = {
  registrationId: string;
  /** The enrolment's, else the registration id. */
  deviceId: string;
  payload: JsonValue | undefined;
  csr: string | undefined;
  authentication: HubAuthentication;
};

export type Allocation = {
  assignedHub: string;
  deviceId?: string;
  payload?: JsonValue;
  issuedCertificateChain?: readonly string[];
};

/** Chooses the hub, and registers the device there; what it throws ends the registration with 400207. */
export type Allocate = (request: AllocationRequest) => Allocation | Promise<Allocation>;

type Common = {
  allocate: Allocate;
  /** Default "enabled". */
  provisioningStatus?: "enabled" | "disabled";
};

export type IndividualEnrolment = Common & {
  registrationId: string;
  deviceId?: string;
} & ({ primaryKey: string; secondaryKey?: string } | { sha256Thumbprint: string });

export type GroupEnrolment = Common & { groupId: string } & (
    | { primaryKey: string; secondaryKey?: string }
    | {
        /** PEM of the verified CA. */
        ca: string;
      }
  );

/** Who a registration belongs to, once it has proven it. */
export type Admitted = {
  enrolment: IndividualEnrolment | GroupEnrolment;
  authentication: HubAuthentication;
};

const hmac = (key: Uint8Array, text: string): string =>
  createHmac("sha256", key).update(text, "utf8").digest("base64");

/** Azure DPS docs: base64(HMAC-SHA256(base64decode(groupKey), utf8(lower-case registration id))). */
export const memberKey = (groupKey: string, registrationId: string): string =>
  hmac(decodeBase64Lenient(groupKey), registrationId.toLowerCase());

/** What one connection brought along. */
export type Proof = {
  idScope: string;
  registrationId: string;
  password: string;
  certificate: PeerCertificate | undefined;
  wallMs: number;
};

/** The enrolment list of one service. An individual enrolment goes before a group. */
export class Enrolments {
  readonly individual: IndividualEnrolment[] = [];
  readonly groups: GroupEnrolment[] = [];

  /** @returns why not, in words, when the proof is not good */
  admit(proof: Proof): Admitted | string {
    const id = proof.registrationId.toLowerCase();
    const own = this.individual.find((one) => one.registrationId.toLowerCase() === id);
    if (own !== undefined) {
      return "primaryKey" in own
        ? admitToken(proof, own, [own.primaryKey, own.secondaryKey])
        : admitThumbprint(proof, own, own.sha256Thumbprint);
    }
    let why = "no enrolment";
    for (const group of this.groups) {
      const admitted =
        "primaryKey" in group
          ? admitToken(proof, group, [
              memberKey(group.primaryKey, id),
              group.secondaryKey === undefined ? undefined : memberKey(group.secondaryKey, id),
            ])
          : admitChain(proof, group, group.ca);
      if (typeof admitted !== "string") return admitted;
      why = admitted;
    }
    return why;
  }
}

function admitToken(
  proof: Proof,
  enrolment: Admitted["enrolment"],
  keys: readonly (string | undefined)[],
): Admitted | string {
  let token: ParsedSasToken;
  try {
    token = parseSasToken(proof.password);
  } catch {
    return "the password is no token";
  }
  const [primaryKey = "", secondaryKey = ""] = keys;
  if (token.policyName !== dpsPolicyName) return "skn is not registration";
  const wanted = dpsSasResource(proof.idScope, proof.registrationId);
  if (token.resource.toLowerCase() !== wanted.toLowerCase()) return "sr is another registration";
  if (token.expiresAtS * 1000 <= proof.wallMs) return "the token has expired";
  if (!verifySasSignature(token, [primaryKey, secondaryKey], hmac)) return "sig is not of the key";
  return { enrolment, authentication: { type: "sas", primaryKey, secondaryKey } };
}

function admitThumbprint(
  proof: Proof,
  enrolment: Admitted["enrolment"],
  sha256Thumbprint: string,
): Admitted | string {
  const why = faultOf(proof);
  if (why !== undefined) return why;
  if (proof.certificate?.sha256Thumbprint !== sha256Thumbprint) return "another certificate";
  return { enrolment, authentication: { type: "selfSigned", sha256Thumbprint } };
}

function admitChain(proof: Proof, enrolment: Admitted["enrolment"], ca: string): Admitted | string {
  const why = faultOf(proof);
  if (why !== undefined || proof.certificate === undefined) return why ?? "no certificate";
  const root = new X509Certificate(ca);
  const { raw, chain } = proof.certificate;
  const path = [raw, ...chain].map((der) => new X509Certificate(der));
  for (const [i, one] of path.entries()) {
    if (one.checkIssued(root) && one.verify(root.publicKey)) {
      return { enrolment, authentication: { type: "certificateAuthority" } };
    }
    const above = path[i + 1];
    if (above === undefined || !one.checkIssued(above) || !one.verify(above.publicKey)) break;
  }
  return "the certificate does not lead to the group's CA";
}

function faultOf({ certificate, registrationId, wallMs }: Proof): string | undefined {
  if (certificate === undefined) return "no certificate";
  if (certificate.commonName !== registrationId) return "CN is not the registration id";
  if (wallMs < certificate.validFromMs || wallMs >= certificate.validToMs) return "out of date";
  return undefined;
}
