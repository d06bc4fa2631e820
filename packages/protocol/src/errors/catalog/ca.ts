import { group } from "./entry.ts";

const argumentInvalid = { status: 400, code: 400004, name: "ArgumentInvalid" } as const;

/** The CAs of a hub whose certificates name devices. */
export const caErrors = group({
  "ca.not_found": {
    retryable: false,
    summary: "The hub has no CA certificate of this name.",
    remedy: "List them with `hubwire ca list`; upload one with `hubwire ca upload`.",
    http: { status: 404, code: 404008, name: "CertificateNotFound" },
  },
  "ca.bad_name": {
    retryable: false,
    summary: "The name of a CA certificate has characters or a length that IoT Hub does not allow.",
    remedy: "Use 1 to 64 characters of A-Z a-z 0-9 - . _",
    http: argumentInvalid,
  },
  "ca.bad_certificate": {
    retryable: false,
    summary: "What was sent is not one readable certificate, or it is no CA's.",
    remedy: "Send one PEM certificate with the basic constraint CA:TRUE.",
    http: argumentInvalid,
  },
  "ca.not_proven": {
    retryable: false,
    summary: "The certificate does not prove that its sender holds the CA's key.",
    remedy:
      "Ask for a verification code, and have the CA sign a certificate whose CN is exactly that code; a code is good once.",
    http: argumentInvalid,
  },
  "ca.too_many": {
    retryable: false,
    summary: "The hub has as many CA certificates as it may have.",
    remedy: "Delete one that is no longer used; there may be 25.",
    http: { status: 403, code: 403000, name: "GenericForbidden" },
  },
});
