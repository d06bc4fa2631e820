import type { JsonValue } from "@hubwire/protocol";

/** What is remembered of an assignment. No secret is among it, unless the service's own payload is one. */
export type Assignment = {
  provisioningHost: string;
  idScope: string;
  registrationId: string;
  assignedHub: string;
  deviceId: string;
  payload?: JsonValue;
  substatus?: string;
  /** Base64 of DER, leaf first. */
  issuedCertificateChain?: readonly string[];
  /** ISO 8601, by the device's clock. */
  assignedAt: string;
};

/** Keeps one device's assignment between two starts. What it throws is reported, and the service is asked instead. */
export interface AssignmentStore {
  load(): Promise<Assignment | undefined>;
  /** Replaces what was there, whole or not at all. */
  save(assignment: Assignment): Promise<void>;
}
