export { loopbackNames, testCertificates } from "./certificates/certificates.ts";
export type {
  AuthorityOptions,
  IssueOptions,
  TestCertificate,
  TestCertificates,
  Validity,
} from "./certificates/certificates.ts";
export { issueRequested } from "./certificates/issue-requested.ts";
export type { RequestedOptions } from "./certificates/issue-requested.ts";
export { seededRandom } from "./random.ts";
export type { SeededRandom } from "./random.ts";
export * from "./net/index.ts";
export * from "./disk/index.ts";
export * from "./dps/index.ts";
