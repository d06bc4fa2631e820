import { IotError } from "../errors/iot-error.ts";
import { isDeviceId } from "../iothub/identity-id.ts";
import { own } from "../twin/merge-patch.ts";
import { isJsonObject, parseJson } from "../twin/json.ts";
import type { JsonObject, JsonValue } from "../twin/json.ts";
import { fitsDpsTopic } from "./dps-topics.ts";

/** Azure DPS docs, registration status. */
export type RegistrationStatus = "unassigned" | "assigning" | "assigned" | "failed" | "disabled";

/** What the service knows about a device's registration. Dates are the service's text, ISO 8601. */
export type Registration = {
  status: RegistrationStatus;
  registrationId?: string;
  /** Host name of the hub; may carry a port where the service is not Azure's. */
  assignedHub?: string;
  deviceId?: string;
  /** `initialAssignment`, `deviceDataMigrated`, `deviceDataReset`, or what comes later. */
  substatus?: string;
  createdDateTimeUtc?: string;
  lastUpdatedDateTimeUtc?: string;
  etag?: string;
  /** What the function of a custom allocation policy gave for the device. */
  payload?: JsonValue;
  /** The key for the hub, encrypted for the device's TPM. */
  tpm?: { authenticationKey: string };
  /** About the certificate that was used; the service's own form. */
  x509?: JsonObject;
  symmetricKey?: { enrollmentGroupId: string };
  /** Usually a number such as 400207; the names of the service's own interface are taken too. */
  errorCode?: number | string;
  errorMessage?: string;
  /** Base64 of DER, leaf first (preview). */
  issuedCertificateChain?: readonly string[];
};

/** A registration that ended well. */
export type AssignedRegistration = Registration & {
  status: "assigned";
  assignedHub: string;
  deviceId: string;
};

/** A 2xx answer. */
export type DpsAnswer = {
  /** Names the operation in the next question. */
  operationId: string | undefined;
  status: RegistrationStatus;
  registration: Registration | undefined;
};

const statuses: ReadonlySet<string> = new Set<RegistrationStatus>([
  "unassigned",
  "assigning",
  "assigned",
  "failed",
  "disabled",
]);

/**
 * Reads the body of a 2xx answer. What a device acts upon is checked; what it only shows is left out when it is of the
 * wrong kind.
 * @throws IotError `provisioning.bad_answer`
 */
export function parseDpsAnswer(bytes: Uint8Array): DpsAnswer {
  let body: JsonValue;
  try {
    body = parseJson(bytes);
  } catch (cause) {
    throw new IotError("provisioning.bad_answer", "The answer's body is not JSON", { cause });
  }
  if (!isJsonObject(body)) throw bad("its body is no object");
  const operationId = text(body, "operationId");
  if (operationId !== undefined && !fitsDpsTopic(operationId)) {
    throw bad("its operationId cannot be asked for");
  }
  const state = own(body, "registrationState") ?? undefined;
  if (state !== undefined && !isJsonObject(state)) throw bad("its registrationState is no object");
  const outer = statusOf(body);
  const inner = state === undefined ? undefined : statusOf(state);
  const status = inner ?? outer;
  if (status === undefined) throw bad("it has no status");
  return {
    operationId,
    status,
    registration: state === undefined ? undefined : readRegistration(state, status),
  };
}

const HOST = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?(?::\d{1,5})?$/;

/** @throws IotError `provisioning.bad_answer` */
export function assigned(registration: Registration | undefined): AssignedRegistration {
  const { assignedHub, deviceId } = registration ?? {};
  if (assignedHub === undefined || !HOST.test(assignedHub)) throw bad("it names no assigned hub");
  if (deviceId === undefined || !isDeviceId(deviceId)) throw bad("it names no device id");
  return { ...registration, status: "assigned", assignedHub, deviceId };
}

function readRegistration(state: JsonObject, status: RegistrationStatus): Registration {
  const registration: Registration = { status };
  for (const name of textFields) {
    const value = text(state, name);
    if (value !== undefined) registration[name] = value;
  }
  const payload = own(state, "payload");
  if (payload !== undefined) registration.payload = payload;
  const authenticationKey = text(own(state, "tpm"), "authenticationKey");
  if (authenticationKey !== undefined) registration.tpm = { authenticationKey };
  const x509 = own(state, "x509");
  if (isJsonObject(x509)) registration.x509 = x509;
  const enrollmentGroupId = text(own(state, "symmetricKey"), "enrollmentGroupId");
  if (enrollmentGroupId !== undefined) registration.symmetricKey = { enrollmentGroupId };
  const errorCode = own(state, "errorCode");
  if (typeof errorCode === "number" || typeof errorCode === "string") {
    registration.errorCode = errorCode;
  }
  const chain = own(state, "issuedCertificateChain");
  if (Array.isArray(chain) && chain.every((one) => typeof one === "string")) {
    registration.issuedCertificateChain = chain;
  }
  return registration;
}

const textFields = [
  "registrationId",
  "assignedHub",
  "deviceId",
  "substatus",
  "createdDateTimeUtc",
  "lastUpdatedDateTimeUtc",
  "etag",
  "errorMessage",
] as const;

function statusOf(object: JsonObject): RegistrationStatus | undefined {
  const given = text(object, "status")?.toLowerCase();
  if (given === undefined) return undefined;
  if (statuses.has(given)) return given as RegistrationStatus;
  throw bad("its status is none that exists");
}

function text(value: JsonValue | undefined, name: string): string | undefined {
  const member = isJsonObject(value) ? own(value, name) : undefined;
  return typeof member === "string" && member !== "" ? member : undefined;
}

const bad = (why: string): IotError =>
  new IotError("provisioning.bad_answer", `The provisioning service's answer is unusable: ${why}`);
