import { group } from "./entry.ts";

/** What the service REST API refuses beside single documents: batches, features that are not here, lost locks. */
export const restErrors = group({
  "route.feature_absent": {
    retryable: false,
    summary: "Azure IoT Hub has this call, and this hub does not have the feature.",
    remedy: "docs/compatibility.md lists what is absent; use a hub in Azure for it.",
    http: { status: 404, code: 404013, name: "FeatureNotSupported" },
  },
  "request.too_many_devices": {
    retryable: false,
    summary: "A bulk operation has no element, or more than 100.",
    remedy: "Send 1 to 100 devices and modules at a time.",
    http: { status: 413, code: 413002, name: "TooManyDevices" },
  },
  "request.device_twice": {
    retryable: false,
    summary: "A bulk operation names the same device or module twice.",
    remedy: "Name each once, or send the second change in another call.",
    http: { status: 400, code: 400011, name: "DeviceDefinedMultipleTimes" },
  },
  "request.bulk_failed": {
    retryable: false,
    summary: "Some elements of a bulk operation failed; the others were carried out.",
    remedy: "Look at errors in the body: each names its device and Azure's name of the error.",
    http: { status: 400, code: 400013, name: "BulkRegistryOperationFailure" },
  },
  "message.lock_lost": {
    retryable: false,
    summary: "The lock on a message ended before it was completed or abandoned.",
    remedy: "Receive it again and settle it within the lock's time.",
    http: { status: 412, code: 412002, name: "DeviceMessageLockLost" },
  },
});
