/** For tests only: a provisioning service as Azure's answers. */
export { ProvisioningService } from "./provisioning-service.ts";
export type { DpsScript, ProvisioningServiceOptions } from "./provisioning-service.ts";
export { memberKey } from "./enrolments.ts";
export type {
  Allocate,
  Allocation,
  AllocationRequest,
  GroupEnrolment,
  HubAuthentication,
  IndividualEnrolment,
} from "./enrolments.ts";
export type { DpsReply, DpsRequest } from "./registrations.ts";
