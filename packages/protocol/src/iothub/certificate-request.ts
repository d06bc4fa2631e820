import { isJsonObject, parseJson } from "../twin/json.ts";
import type { JsonObject, JsonValue } from "../twin/json.ts";
import { decodeBase64Lenient } from "./base64.ts";

/**
 * A device asks its hub for a new certificate: what the bodies say.
 *
 *     device                                        hub
 *       │  POST issueCertificate  {id, csr, replace}  │
 *       │ ───────────────────────────────────────────▶│
 *       │          res/202  {correlationId, operationExpires}
 *       │◀─────────────────────────────────────────── │  … seconds …
 *       │          res/200  {certificates, correlationId}
 *       │◀─────────────────────────────────────────── │
 *
 * Preview: this may change. @see Azure IoT Hub docs, "Certificate management" (preview), api-version 2025-08-01-preview
 */
export const certificateApiVersion = "2025-08-01-preview";

/** What a device asks for. */
export type CertificateRequest = {
  /** The device id. */
  id: string;
  /** Base64 of a PKCS#10 request in DER; without PEM's first and last line. */
  csr: string;
  /** Whether an open request may be put aside: none, any, or the one with this id. */
  replace: string | null;
};

/** What the hub answers. */
export type CertificateAnswer =
  | {
      /** It works on it; the certificate follows in a second answer with the same `$rid`. */
      type: "accepted";
      correlationId: string | undefined;
      /** Unix milliseconds; undefined when it is not said. */
      operationExpiresAtMs: number | undefined;
    }
  | {
      type: "issued";
      /** DER, the device's own first, then its issuers. */
      certificates: readonly Uint8Array[];
      correlationId: string | undefined;
    }
  | {
      type: "refused";
      /** Such as 409005; the status and 000 when the body does not say. */
      errorCode: number;
      message: string;
      /** Of the request that stands in the way (409004, 409005). */
      requestId: string | undefined;
      operationExpiresAtMs: number | undefined;
      /** What the certificate authority said (400040). */
      credentialError: string | undefined;
      credentialMessage: string | undefined;
    }
  | { type: "malformed"; why: string };

/** Far above what a chain has. */
const certificatesMax = 10;
const certificateBytesMax = 64 * 1024;

/** The body of a request, UTF-8 JSON. */
export const formatCertificateRequest = ({ id, csr, replace }: CertificateRequest): string =>
  JSON.stringify({ id, csr, replace });

/**
 * The body of a request, as the hub reads it.
 * @returns undefined when it is none
 */
export function parseCertificateRequest(body: Uint8Array): CertificateRequest | undefined {
  const value = jsonObject(body);
  const { id, csr, replace = null } = value ?? {};
  if (typeof id !== "string" || typeof csr !== "string" || csr === "") return undefined;
  return replace === null || typeof replace === "string" ? { id, csr, replace } : undefined;
}

/** Reads an answer. Never throws. @param status of the answer's topic */
export function parseCertificateAnswer(status: number, body: Uint8Array): CertificateAnswer {
  const value = jsonObject(body);
  if (status < 200 || status > 299) return refusal(status, value ?? {});
  if (value === undefined) return { type: "malformed", why: "the body is no JSON object" };
  const correlationId = textOf(value["correlationId"]);
  if (status === 202) {
    const operationExpiresAtMs = timeOf(value["operationExpires"]);
    return { type: "accepted", correlationId, operationExpiresAtMs };
  }
  if (status !== 200) return { type: "malformed", why: `no answer has status ${status}` };
  const list = value["certificates"];
  if (!Array.isArray(list) || list.length === 0 || list.length > certificatesMax)
    return { type: "malformed", why: `there are not 1 to ${certificatesMax} certificates` };
  const certificates: Uint8Array[] = [];
  for (const text of list as readonly JsonValue[]) {
    const der = typeof text === "string" ? derOf(text) : undefined;
    if (der === undefined) return { type: "malformed", why: "a certificate is not base64 of DER" };
    certificates.push(der);
  }
  return { type: "issued", certificates, correlationId };
}

function refusal(status: number, value: JsonObject): CertificateAnswer {
  const code = value["errorCode"];
  const info = value["info"];
  const { requestId, operationExpires, credentialError, credentialMessage } = isJsonObject(info)
    ? info
    : {};
  return {
    type: "refused",
    errorCode: typeof code === "number" && Number.isSafeInteger(code) ? code : status * 1000,
    message: textOf(value["message"]) ?? "",
    requestId: textOf(requestId),
    operationExpiresAtMs: timeOf(operationExpires),
    credentialError: textOf(credentialError),
    credentialMessage: textOf(credentialMessage),
  };
}

function jsonObject(body: Uint8Array): JsonObject | undefined {
  try {
    const value = parseJson(body);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A name, an id or a sentence; whatever is longer is cut. */
const textMax = 500;
const textOf = (value: JsonValue | undefined): string | undefined =>
  typeof value === "string" && value !== "" ? value.slice(0, textMax) : undefined;

function timeOf(value: JsonValue | undefined): number | undefined {
  const ms = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** DER of a certificate is a SEQUENCE. */
const sequence = 0x30;

function derOf(text: string): Uint8Array | undefined {
  if (text.length > (certificateBytesMax * 4) / 3 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    return undefined;
  }
  const der = decodeBase64Lenient(text);
  return der[0] === sequence ? der : undefined;
}
