export { memoryCertificates, openCertificates } from "./hub-certificates.ts";
export type { HubCertificates } from "./hub-certificates.ts";
export type { PemPair } from "./pem-pair.ts";
export { certificateNames } from "./names.ts";
