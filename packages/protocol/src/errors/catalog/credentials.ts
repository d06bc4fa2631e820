import { group } from "./entry.ts";

/** Certificates in files, credentials that are exchanged while connected, and places where secrets live. */
export const credentialErrors = group({
  "device.certificate_expired": {
    retryable: false,
    summary:
      "The device's certificate is past its date by the device's clock; nothing was dialled.",
    remedy:
      "Renew the certificate (replaced files are picked up without a restart); if it is valid, the device's clock runs ahead: set it (NTP).",
  },
  "device.certificate_expires_soon": {
    retryable: false,
    summary: "The device's certificate ends soon. A warning: nothing has failed yet.",
    remedy: "Renew the certificate and put the new files in the place of the old ones.",
  },
  "device.certificate_not_yet_valid": {
    retryable: true,
    summary: "The device's certificate is not valid yet by the device's clock. A warning.",
    remedy: "Set the device's clock (NTP): after a power loss it often starts in the past.",
  },
  "device.certificate_unreadable": {
    retryable: false,
    summary: "A file of the device's certificate is missing, too large, or holds no PEM.",
    remedy:
      "Check the path and the permissions; certFile, keyFile and chainFile are PEM files, the leaf first.",
  },
  "device.certificate_mismatch": {
    retryable: true,
    summary:
      "Certificate, key and chain in the files do not belong together, or one of them is written only in part.",
    remedy:
      "Nothing while the files are being replaced: the old certificate stays in use. If it lasts, put files of one issue in place.",
  },
  "device.rotation_refused": {
    retryable: false,
    summary: "The hub refused the new credential; the device goes on with the one it had.",
    remedy:
      "Read the cause. Register the new key or certificate in the hub first, as primary or secondary, then offer it again.",
  },
  "device.rotation_undecided": {
    retryable: true,
    summary:
      "The new credential could not be tried: connections with it ended without an answer of the hub.",
    remedy: "Read the cause, and offer it again when the network is back.",
  },
  "device.rotation_replaced": {
    retryable: false,
    summary: "Another credential was offered before this one was decided on, or the client closed.",
    remedy: "Nothing: the newest one counts.",
  },
  "device.rotation_unsaved": {
    retryable: false,
    summary:
      "The hub took the new credential and the device uses it, but the application failed to store that.",
    remedy: "Read the cause, and store which credential is in use before the process ends.",
  },
  "secret.missing": {
    retryable: false,
    summary: "There is no secret in the place named.",
    remedy: "Check the name in the message, and that the service that starts the device sets it.",
  },
  "secret.unreadable": {
    retryable: true,
    summary: "The place a secret lives in could not be read.",
    remedy: "Read the cause: most often it is a permission, or a keychain that is locked.",
  },
  "secret.exposed": {
    retryable: false,
    summary: "A secret lies in a file that others on this machine may read or change.",
    remedy: "Take the rights away (chmod 0600) and replace the secret, which may be known by now.",
  },
  "secret.wrong_passphrase": {
    retryable: false,
    summary: "The passphrase does not open the sealed file.",
    remedy: "Pass the passphrase it was sealed with; without it the secret cannot be got back.",
  },
  "secret.damaged": {
    retryable: false,
    summary: "The sealed file is incomplete, was changed, or is no sealed file.",
    remedy: "Restore it from a copy or seal the secret again.",
  },
  "secret.unsupported": {
    retryable: false,
    summary: "The sealed file asks for a format or for work this version does not do.",
    remedy: "Open it with the version that made it, and seal it again.",
  },
  "secret.keychain_unavailable": {
    retryable: true,
    summary: "This machine has no keychain that answers.",
    remedy:
      "On Linux a Secret Service must run in the session (gnome-keyring, KWallet) and be unlocked; on a headless device use a sealed file or systemd credentials.",
  },
});
