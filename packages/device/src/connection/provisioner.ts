import type { IotError, JsonValue } from "@hubwire/protocol";
import type { Endpoint } from "./endpoint.ts";

/** What the provisioning service said about this device. */
export type Provisioned = {
  readonly registrationId: string;
  readonly assignedHub: string;
  readonly deviceId: string;
  /** What the function of a custom allocation policy gave for the device. */
  readonly payload: JsonValue | undefined;
  /** `initialAssignment`, `deviceDataMigrated`, `deviceDataReset`, … */
  readonly substatus: string | undefined;
  /** Base64 of DER, leaf first, when the service issues certificates (preview). */
  readonly issuedCertificateChain: readonly string[] | undefined;
  /** By the device's clock. */
  readonly assignedAt: Date;
  /** Whether this comes from an earlier run and the service was not asked in this one. */
  readonly remembered: boolean;
};

/** Finds out which hub a device belongs to. Only with the option `provisioning`, whose code is loaded when it is there. */
export interface Provisioner {
  /** The latest assignment. */
  readonly provisioned: Provisioned | undefined;
  /** Whether to ask the service before the next try to connect. */
  readonly due: boolean;
  /**
   * Asks the service; settles by a deadline of its own.
   * @throws IotError `provisioning.*`, `transport.*`, `device.*`; what `signal` makes it throw
   */
  assign(signal: AbortSignal): Promise<Endpoint>;
  /** The hub let the device in. */
  connected(): void;
  /** A try to connect to the hub failed. */
  failed(cause: IotError): void;
  /** Whether asking the service may heal what a hub refuses. */
  mayHeal(cause: IotError): boolean;
}
