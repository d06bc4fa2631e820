import { certificateApiVersion, IotError } from "@hubwire/protocol";
import { invalid } from "../calls/errors.ts";
import { checkNumber } from "../options/bounds.ts";
import type { Settings } from "../options/settings.ts";
import { makeCertificateRequest } from "./certificate-request.ts";
import type { IssueCall, IssueOptions } from "./issue-call.ts";
import { checkIssued } from "./issued.ts";
import type { RenewedCertificate } from "./issued.ts";

export { IssueCall } from "./issue-call.ts";

/**
 * A new key, a request for it, the hub's certificate, and a look at whether they fit.
 * @throws IotError `certificate.*`, `argument.invalid`, and what `IssueCall.issue` throws
 */
export async function renewCertificate(
  settings: Settings,
  calls: IssueCall,
  options: IssueOptions,
): Promise<RenewedCertificate> {
  const { timeoutMs, replace } = options;
  if (timeoutMs !== undefined) checkNumber("timeoutMs", timeoutMs, 1, 86_400_000);
  if (replace !== undefined && (typeof replace !== "string" || replace === ""))
    throw invalid('replace is "*" or the id of a request');
  const { identity, username } = settings.endpoint;
  const { deviceId, moduleId } = identity;
  if (moduleId !== undefined) throw invalid("IoT Hub issues certificates to devices, not modules");
  if (!speaksPreview(username)) {
    const text = `renewCertificate needs the connection's api-version to be ${certificateApiVersion}`;
    throw new IotError("certificate.preview_needed", text);
  }
  const { key, csr } = await makeCertificateRequest(deviceId);
  return checkIssued(await calls.issue(deviceId, csr, options), key, deviceId);
}

/** The user name was fixed when the connection was made. */
const speaksPreview = (username: string): boolean =>
  /[?&]api-version=([^&]*)/.exec(username)?.[1] === certificateApiVersion;
