import { group } from "./entry.ts";

/** Keys in a PKCS#11 token: what the module said, in words, and what to do. */
export const pkcs11Errors = group({
  "pkcs11.library": {
    retryable: false,
    summary: "The PKCS#11 module could not be loaded, or did not start.",
    remedy:
      "Pass in `library` the path of the token's PKCS#11 module, for this machine's architecture; for SoftHSM check SOFTHSM2_CONF and the rights on its token directory.",
  },
  "pkcs11.not_built": {
    retryable: false,
    summary: "The native part that talks to PKCS#11 modules is missing on this machine.",
    remedy:
      "Install a C++ compiler, make and Python (on Debian: g++, make, python3), let the package run its build (npm 11: allowScripts for pkcs11js), then: npm rebuild pkcs11js.",
  },
  "pkcs11.engine": {
    retryable: false,
    summary: "OpenSSL's PKCS#11 engine (libp11) is missing, or serves another module already.",
    remedy:
      "Install it (Debian: libengine-pkcs11-openssl) or pass its path in `engine`; use one PKCS#11 module for all TLS keys of a process.",
  },
  "pkcs11.engine_stale": {
    retryable: false,
    summary:
      "The token was away since OpenSSL's PKCS#11 engine (libp11) opened it, and the engine cannot open it a second time in one process.",
    remedy: "Start the process again; under a service manager, exit when the client reports this.",
  },
  "pkcs11.token_not_found": {
    retryable: true,
    summary: "No token, or more than one, fits the slot, label or serial number given.",
    remedy:
      "Check that the token is plugged in and initialised; `pkcs11-tool --list-token-slots` shows label, serial number and slot.",
  },
  "pkcs11.token_removed": {
    retryable: true,
    summary: "The token went away in the middle of an operation, and once more on the second try.",
    remedy: "Plug it in again; the next attempt opens it anew.",
  },
  "pkcs11.pin": {
    retryable: false,
    summary:
      "The token refused the PIN, or there is none. A refused PIN is not tried a second time, because tokens lock themselves.",
    remedy: "Correct the user PIN; let `pin` be a function where it may change while running.",
  },
  "pkcs11.pin_locked": {
    retryable: false,
    summary: "The token is locked after too many wrong PINs, or its PIN has expired.",
    remedy: "Set a new user PIN with the security officer's PIN.",
  },
  "pkcs11.key_not_found": {
    retryable: false,
    summary: "The token has no key, or more than one, with this label or id.",
    remedy:
      "`pkcs11-tool --login --list-objects` shows labels and ids; give both when one does not suffice.",
  },
  "pkcs11.key_unfit": {
    retryable: false,
    summary: "The key may not be used for this, or the token does not have the mechanism.",
    remedy:
      "A SAS key is a generic secret (or SHA-256 HMAC) key with CKA_SIGN and CKM_SHA256_HMAC; a TLS key is an EC or RSA private key with CKA_SIGN.",
  },
  "pkcs11.key_mismatch": {
    retryable: false,
    summary: "The private key in the token does not belong to the certificate.",
    remedy: "Pass the certificate that was issued for this key, or the label or id of its key.",
  },
  "pkcs11.sign_failed": {
    retryable: true,
    summary: "The token failed to sign.",
    remedy:
      "Read the message for the token's own code; if it lasts, check the token with pkcs11-tool.",
  },
  "pkcs11.busy": {
    retryable: true,
    summary: "Too many operations wait for the token, which does one at a time.",
    remedy: "Check whether the token hangs; nothing else is waiting in the way.",
  },
  "pkcs11.closed": {
    retryable: false,
    summary: "The signer or certificate was closed.",
    remedy: "Close it after the client that uses it.",
  },
});
