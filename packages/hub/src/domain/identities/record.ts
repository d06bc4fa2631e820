import type { Authentication, Identity } from "../services.ts";
import { etagOf } from "./mint.ts";

/** An identity at rest, in the `identities` collection. */
export type IdentityRecord = {
  deviceId: string;
  moduleId?: string | undefined;
  generationId: string;
  /** Counts writes; the etag is made from it. */
  counter: number;
  status: "enabled" | "disabled";
  statusReason?: string | undefined;
  statusUpdatedAtMs?: number | undefined;
  authentication: Authentication;
  iotEdge: boolean;
  managedBy?: string | undefined;
  /**
   * Modules only: the life of the device they belong to. A module of another life is dead, which makes deleting a device
   * with its modules one write.
   */
  deviceGenerationId?: string | undefined;
};

export const recordOf = (value: unknown): IdentityRecord => value as IdentityRecord;

/** `device` is the module's device (its status is the module's too), for devices the record itself. */
export const identityOf = (record: IdentityRecord, device: IdentityRecord): Identity => ({
  deviceId: record.deviceId,
  moduleId: record.moduleId,
  generationId: record.generationId,
  etag: etagOf(record.counter),
  status: device.status,
  statusReason: device.statusReason,
  statusUpdatedAtMs: device.statusUpdatedAtMs,
  authentication: record.authentication,
  capabilities: { iotEdge: record.iotEdge },
  managedBy: record.managedBy,
});
