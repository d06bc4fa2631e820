import { X509Certificate } from "node:crypto";
import { IotError } from "@hubwire/protocol";
import type { StoredCa } from "../../domain/certificates/index.ts";

/**
 * A CA as Azure Resource Manager writes it (`CertificateDescription`), with the verification code while one is open.
 * @see Azure REST API reference, IoT Hub Resource, certificates
 */
export function formatCa(ca: StoredCa): object {
  const certificate = new X509Certificate(ca.pem);
  return {
    name: ca.name,
    etag: ca.etag,
    properties: {
      subject: /^CN=(.*)$/mu.exec(certificate.subject)?.[1] ?? certificate.subject,
      expiry: new Date(Date.parse(certificate.validTo)).toUTCString(),
      thumbprint: certificate.fingerprint.replaceAll(":", ""),
      isVerified: ca.isVerified,
      created: new Date(ca.createdAtMs).toUTCString(),
      updated: new Date(ca.updatedAtMs).toUTCString(),
      certificate: Buffer.from(ca.pem).toString("base64"),
      ...(ca.verificationCode === undefined ? {} : { verificationCode: ca.verificationCode }),
    },
  };
}

/**
 * `{properties: {certificate, isVerified?}}`, or the same without `properties`; the certificate is PEM, or its base64.
 * @throws IotError `argument.invalid`
 */
export function parseCaBody(body: unknown): { pem: string; isVerified: boolean } {
  const outer = objectOf(body);
  const facts = outer["properties"] === undefined ? outer : objectOf(outer["properties"]);
  const { certificate, isVerified = false } = facts;
  if (typeof certificate !== "string" || typeof isVerified !== "boolean") {
    throw new IotError(
      "argument.invalid",
      "certificate is a text, and isVerified, if given, true or false",
    );
  }
  const isPem = certificate.includes("-----BEGIN");
  return { pem: isPem ? certificate : Buffer.from(certificate, "base64").toString(), isVerified };
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new IotError("argument.invalid", "Expected a JSON object");
}
