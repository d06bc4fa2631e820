export { createCertificates } from "./certificates.ts";
export type { Certificates, StoredCa } from "./certificates.ts";
