import { group } from "./entry.ts";

/** Renewing a device's certificate over its connection (preview). */
export const certificateErrors = group({
  "certificate.preview_needed": {
    retryable: false,
    summary: "The connection does not speak the preview API that can renew certificates.",
    remedy:
      'Pass apiVersion: "2025-08-01-preview" to connect, with a hub in a region that has the preview.',
  },
  "certificate.refused": {
    retryable: false,
    summary: "The hub, or the certificate authority behind it, refused to issue a certificate.",
    remedy:
      "Read the message for the hub's code; check that the device's enrolment has a certificate policy and the hub's tier the feature.",
  },
  "certificate.pending": {
    retryable: true,
    summary: "An earlier request of this device is being worked on (409004).",
    remedy: "Ask again when it has ended, at the latest at the time the message names.",
  },
  "certificate.active": {
    retryable: false,
    summary:
      "An earlier request of this device is still open (409005), and this one does not replace it.",
    remedy:
      'Pass replace: "*", or the id of the request in the message; its certificate is then lost.',
  },
  "certificate.throttled": {
    retryable: true,
    summary: "The hub issues no more certificates for this device or hub for a while.",
    remedy: "Ask again later; once in each certificate's life is enough.",
  },
  "certificate.unavailable": {
    retryable: true,
    summary: "The hub or the certificate authority behind it has trouble of its own.",
    remedy: "Ask again later.",
  },
  "certificate.bad_answer": {
    retryable: true,
    summary:
      "The hub's answer is not what a certificate request gets, or its certificate does not fit.",
    remedy: "Ask again; if it lasts, tell the hub's operator. The certificate in use stays in use.",
  },
  "certificate.store": {
    retryable: true,
    summary: "The files of the device's certificate could not be read or written.",
    remedy: "Check the directory's rights and the space on its disk, and read the cause.",
  },
});
