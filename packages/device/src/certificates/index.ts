/**
 * Preview: certificates that a device renews over its own connection.
 *
 *     const certificate = renewingCertificate({ directory: "/var/lib/device", initial });
 *     const client = await connect({
 *       credentials: { hostName, deviceId, provider: certificate },
 *       apiVersion: certificateApiVersion,
 *     });
 *     keepRenewed(client, certificate);
 *
 * `makeCertificateRequest` is also what the provisioning service wants for a device's first certificate.
 */
export { certificateApiVersion } from "@hubwire/protocol";
export { makeCertificateRequest, requestPem } from "./certificate-request.ts";
export type { KeyAndRequest } from "./certificate-request.ts";
export { renewingCertificate } from "./renewing-certificate.ts";
export type { RenewingCertificate, RenewingCertificateOptions } from "./renewing-certificate.ts";
export { keepRenewed } from "./keep-renewed.ts";
export type { KeepRenewedOptions, RenewingClient } from "./keep-renewed.ts";
export type { IssueOptions } from "./issue-call.ts";
export type { RenewedCertificate } from "./issued.ts";
export type { CertificateFacts } from "../credentials/certificate.ts";
