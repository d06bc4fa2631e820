import { group } from "./entry.ts";

/**
 * What the Device Provisioning Service (DPS) answers, as a device's owner has to read it. Azure publishes the names of its
 * errors and few of their numbers; the table that maps them is `dps/refusal.ts`.
 */
export const provisioningErrors = group({
  "provisioning.unauthorized": {
    retryable: false,
    summary:
      "The provisioning service did not accept this device's key, token or certificate for the registration id (401002).",
    remedy:
      "Check in this order: idScope is this service's; the enrolment exists and is of the kind used (key, group key, certificate); the key is the enrolment's; a certificate's CN is the registration id and its CA is verified; the device's clock is right.",
  },
  "provisioning.enrollment_not_found": {
    retryable: false,
    summary: "The provisioning service knows no enrolment for this registration id (404).",
    remedy:
      "Create an individual enrolment, or an enrolment group the device's key or certificate belongs to, in the service that idScope names.",
  },
  "provisioning.disabled": {
    retryable: false,
    summary: "The enrolment of this device is disabled.",
    remedy: "Enable the enrolment if the device is meant to be provisioned.",
  },
  "provisioning.failed": {
    retryable: false,
    summary: "The provisioning service ended the registration without assigning a hub.",
    remedy:
      "Read the message, which is the service's; check the enrolment's allocation policy and its linked hubs.",
  },
  "provisioning.custom_allocation_failed": {
    retryable: true,
    summary:
      "The function behind the enrolment's custom allocation policy failed, or answered too late (400207).",
    remedy:
      "Look at the function's log; it has a few seconds and answers with one of the linked hubs. The device asks again.",
  },
  "provisioning.custom_allocation_refused": {
    retryable: false,
    summary: "The custom allocation named no linked hub, or may not be called by the service.",
    remedy:
      "Let the function answer with iotHubHostName of a linked hub, and give the service the right to call it.",
  },
  "provisioning.no_linked_hub": {
    retryable: false,
    summary: "The enrolment's allocation leads to a hub that is not linked to the service.",
    remedy: "Link a hub to the provisioning service and allow it in the enrolment.",
  },
  "provisioning.invalid_request": {
    retryable: false,
    summary: "The provisioning service refused the form of the request (400, 405, 412, 413, 415).",
    remedy: "Check registrationId, payload and csr against the message, which is the service's.",
  },
  "provisioning.too_many": {
    retryable: false,
    summary: "The provisioning service has as many enrolments or registrations as it may.",
    remedy: "Delete what is not used any more, or use another provisioning service.",
  },
  "provisioning.conflict": {
    retryable: true,
    summary: "Another operation on the same enrolment or registration is under way (409).",
    remedy: "Nothing: the device asks again. If it lasts, look for a second device with its id.",
  },
  "provisioning.suspended": {
    retryable: false,
    summary: "The provisioning service is suspended.",
    remedy: "Check the Azure subscription that owns it.",
  },
  "provisioning.throttled": {
    retryable: true,
    summary: "The provisioning service throttles registrations (429).",
    remedy: "Nothing: the device waits as long as it was told, and a random time more.",
  },
  "provisioning.unavailable": {
    retryable: true,
    summary: "The provisioning service failed, or is too busy to let the device in (5xx).",
    remedy: "Nothing: the device asks again with back-off. If it lasts, see Azure's status page.",
  },
  "provisioning.refused": {
    retryable: false,
    summary:
      "The provisioning service refused the connection or the request in a way it should not.",
    remedy: "Check that provisioningHost is a Device Provisioning Service, and read the message.",
  },
  "provisioning.operation_lost": {
    retryable: true,
    summary: "The provisioning service forgot the registration that was under way.",
    remedy: "Nothing: the device registers again.",
  },
  "provisioning.bad_answer": {
    retryable: true,
    summary: "An answer of the provisioning service could not be understood.",
    remedy:
      "Check that provisioningHost is a Device Provisioning Service; the message says what was wrong with the answer.",
  },
  "provisioning.timeout": {
    retryable: true,
    summary: "The registration did not end within provisioning.timeoutMs.",
    remedy:
      "Nothing: the device begins again. Read the cause; raise timeoutMs if allocation is slow.",
  },
  "provisioning.subscription_refused": {
    retryable: false,
    summary: "The provisioning service did not grant the subscription to its answers.",
    remedy: "Check that provisioningHost is a Device Provisioning Service.",
  },
  "provisioning.store_unusable": {
    retryable: true,
    summary: "The assignment could not be read from, or written to, where it is remembered.",
    remedy:
      "Check that the directory exists and that this process may write there; without it the device is provisioned anew at every start.",
  },
});
