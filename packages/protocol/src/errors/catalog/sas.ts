import { group } from "./entry.ts";

/** Making and reading shared access signatures. What the hub refuses them for is in the `auth.` group. */
export const sasErrors = group({
  "sas.expiry_not_seconds": {
    retryable: false,
    summary: "A token's expiry is not a Unix time in whole seconds.",
    remedy: "Pass Unix seconds, not milliseconds: Math.floor(Date.now() / 1000) plus the lifetime.",
  },
  "sas.empty_resource": {
    retryable: false,
    summary: "A token was asked for with no resource.",
    remedy: "Pass the resource without scheme, such as myhub.azure-devices.net/devices/dev1.",
  },
  "sas.malformed": {
    retryable: false,
    summary: "The text is not a shared access signature.",
    remedy:
      "Pass the whole token: SharedAccessSignature sr={resource}&sig={signature}&se={expiry}[&skn={policy}], each field once.",
  },
});
