import { IotError } from "../errors/iot-error.ts";
import type { ErrorCode } from "../errors/iot-error.ts";
import { own } from "../twin/merge-patch.ts";
import { isJsonObject, parseJson } from "../twin/json.ts";
import type { JsonObject } from "../twin/json.ts";
import type { Registration } from "./registration.ts";

/** Error numbers that were seen (Azure DPS docs, troubleshooting). */
export const dpsErrorNumbers: Readonly<Record<number, ErrorCode>> = {
  400207: "provisioning.custom_allocation_failed",
  401002: "provisioning.unauthorized",
};

/** Error names of the service's published interface; the numbers of most were never published. */
export const dpsErrorNames: Readonly<Record<string, ErrorCode>> = {
  InvalidEndorsementKey: "provisioning.unauthorized",
  InvalidRegistrationId: "provisioning.invalid_request",
  InvalidStorageRootKey: "provisioning.unauthorized",
  InvalidEnrollmentGroupId: "provisioning.invalid_request",
  TooManyEnrollments: "provisioning.too_many",
  CustomAllocationFailed: "provisioning.custom_allocation_failed",
  CustomAllocationIotHubNotSpecified: "provisioning.custom_allocation_refused",
  CustomAllocationUnauthorizedAccess: "provisioning.custom_allocation_refused",
  IotDpsSuspended: "provisioning.suspended",
  EnrollmentNotFound: "provisioning.enrollment_not_found",
  DeviceRegistrationNotFound: "provisioning.enrollment_not_found",
  AsyncOperationNotFound: "provisioning.operation_lost",
  EnrollmentGroupNotFound: "provisioning.enrollment_not_found",
  LinkedHubNotFound: "provisioning.no_linked_hub",
  EnrollmentConflict: "provisioning.conflict",
  EnrollmentGroupConflict: "provisioning.conflict",
  RegistrationStatusConflict: "provisioning.conflict",
};

const statusCodes: Readonly<Record<number, ErrorCode>> = {
  400: "provisioning.invalid_request",
  401: "provisioning.unauthorized",
  403: "provisioning.unauthorized",
  404: "provisioning.enrollment_not_found",
  405: "provisioning.invalid_request",
  409: "provisioning.conflict",
  412: "provisioning.invalid_request",
  413: "provisioning.invalid_request",
  415: "provisioning.invalid_request",
  429: "provisioning.throttled",
};

/** An answer with a status from 300 up, in words a device owner can act on. A body nobody understands costs the details only. */
export function dpsRefusal(status: number, body: Uint8Array): IotError {
  const details = readBody(body);
  const number = details === undefined ? undefined : own(details, "errorCode");
  const said = [shown(details, "message"), shown(details, "trackingId")].filter(
    (one) => one !== "",
  );
  return new IotError(
    codeOf(number) ?? codeOfStatus(status),
    `The provisioning service answered ${status}${saidNumber(number)}${said.length === 0 ? "" : `: ${said.join(", tracking id ")}`}`,
  );
}

/** A registration that ended without a hub. */
export function registrationFailure(registration: Registration): IotError {
  const { status, errorCode, errorMessage } = registration;
  const code =
    status === "disabled"
      ? "provisioning.disabled"
      : (codeOf(errorCode) ?? familyOf(errorCode) ?? "provisioning.failed");
  const text = errorMessage === undefined ? "" : `: ${oneLine(errorMessage)}`;
  return new IotError(code, `The registration ended ${status}${saidNumber(errorCode)}${text}`);
}

/** CONNACK with a refusal from the provisioning service, which gives no reason. */
export function dpsConnackError(returnCode: number, registrationId: string): IotError {
  const code = connackCodes[returnCode] ?? "provisioning.refused";
  const text = `The provisioning service refused ${registrationId} with CONNACK ${returnCode}`;
  return new IotError(code, text);
}

const connackCodes: Readonly<Record<number, ErrorCode>> = {
  3: "provisioning.unavailable",
  4: "provisioning.unauthorized",
  5: "provisioning.unauthorized",
};

function codeOf(given: unknown): ErrorCode | undefined {
  const table: Readonly<Record<string, ErrorCode>> =
    typeof given === "number" || /^\d+$/.test(String(given)) ? dpsErrorNumbers : dpsErrorNames;
  const key = String(given);
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** The service's numbers begin with the HTTP status they belong to. */
function familyOf(given: unknown): ErrorCode | undefined {
  const status = Math.floor(Number(given) / 1000);
  // 400 says only that something in the enrolment is wrong, not that the device asked wrongly.
  return status > 400 && status < 600 ? codeOfStatus(status) : undefined;
}

const codeOfStatus = (status: number): ErrorCode =>
  status >= 500 ? "provisioning.unavailable" : (statusCodes[status] ?? "provisioning.refused");

function readBody(body: Uint8Array): JsonObject | undefined {
  try {
    const value = parseJson(body);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const saidNumber = (given: unknown): string =>
  (typeof given === "number" && given !== 0) || (typeof given === "string" && given !== "")
    ? ` (${oneLine(String(given))})`
    : "";

function shown(details: JsonObject | undefined, name: string): string {
  const value = details === undefined ? undefined : own(details, name);
  return typeof value === "string" ? oneLine(value) : "";
}

/** The peer's text is for people, in one line and not too long. */
const oneLine = (text: string): string =>
  text
    // oxlint-disable-next-line no-control-regex -- they could forge lines of a log
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ")
    .slice(0, 300);
