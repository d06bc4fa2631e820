import { authErrors } from "./auth.ts";
import { group } from "./entry.ts";

const unauthorized = { status: 401, code: 401003, name: "IotHubUnauthorized" } as const;
const argumentInvalid = { status: 400, code: 400004, name: "ArgumentInvalid" } as const;

/** What a service call (or a device's request) is answered with when it is let in and still cannot be done. */
const serviceErrors = group({
  "device.not_found": {
    retryable: false,
    summary: "No device with this id is registered.",
    remedy: "Register the device first; ids are case-sensitive.",
    http: { status: 404, code: 404001, name: "DeviceNotFound" },
  },
  "device.already_exists": {
    retryable: false,
    summary: "A device with this id is already registered.",
    remedy: "Update it by sending If-Match, or choose another id.",
    http: { status: 409, code: 409001, name: "DeviceAlreadyExists" },
  },
  "device.not_online": {
    retryable: true,
    summary: "The device is not connected, or is connected and has not subscribed to methods.",
    remedy:
      "Connect the device and let it subscribe to $iothub/methods/POST/#, or wait with connectTimeoutInSeconds.",
    http: { status: 404, code: 404103, name: "DeviceNotOnline" },
  },
  "device.too_many_modules": {
    retryable: false,
    summary: "A device has at most 50 modules.",
    remedy: "Delete a module that is no longer used, or spread the modules over several devices.",
    http: { status: 413, code: 413003, name: "TooManyModulesOnDevice" },
  },
  "module.not_found": {
    retryable: false,
    summary: "The device has no module with this id.",
    remedy: "Register the module first; ids are case-sensitive.",
    http: { status: 404, code: 404010, name: "ModuleNotFound" },
  },
  "module.already_exists": {
    retryable: false,
    summary: "The device already has a module with this id.",
    remedy: "Update it by sending If-Match, or choose another id.",
    http: { status: 409, code: 409301, name: "ModuleAlreadyExistsOnDevice" },
  },
  "identity.bad_id": {
    retryable: false,
    summary: "A device or module id has characters or a length that IoT Hub does not allow.",
    remedy: "Use 1 to 128 characters of A-Z a-z 0-9 - . + % _ # * ? ! ( ) , : = @ $ '",
    http: argumentInvalid,
  },
  "identity.id_mismatch": {
    retryable: false,
    summary: "The id in the body is not the id in the address.",
    remedy: "Send the same id in both, or leave it out of the body.",
    http: argumentInvalid,
  },
  "identity.bad_key": {
    retryable: false,
    summary: "A symmetric key is not base64 of 16 to 64 bytes, or only one of the two was given.",
    remedy: "Give both keys as canonical base64, or neither to have them made.",
    http: argumentInvalid,
  },
  "identity.bad_thumbprint": {
    retryable: false,
    summary: "A thumbprint is not 40 or 64 hexadecimal digits.",
    remedy: "Write the SHA-1 or SHA-256 of the certificate in hex, without colons.",
    http: argumentInvalid,
  },
  "method.timeout": {
    retryable: true,
    summary: "The device got the method call and did not answer in time.",
    remedy:
      "Check that the device handles this method; raise responseTimeoutInSeconds for slow work.",
    http: { status: 504, code: 504101, name: "GatewayTimeout" },
  },
  "method.bad_response": {
    retryable: false,
    summary:
      "The device answered a method call with something that is not JSON, or with too much of it.",
    remedy: "Let the device answer with valid JSON of at most 128 KB, or an empty body.",
    http: { status: 502, code: 502000, name: "GenericBadGateway" },
  },
  "method.too_many_in_flight": {
    retryable: true,
    summary: "Too many method calls to this device are waiting for an answer.",
    remedy:
      "Wait for answers before calling again; if none come, the device is stuck: lower responseTimeoutInSeconds and look at its handler.",
    http: { status: 403, code: 403800, name: "DeviceMaximumInflightMethodExceeded" },
  },
  "etag.mismatch": {
    retryable: false,
    summary: "The document changed: its etag is not the one in If-Match.",
    remedy: "Read it again and repeat the change with its new etag, or send If-Match: *.",
    http: { status: 412, code: 412001, name: "PreconditionFailed" },
  },
  "etag.missing": {
    retryable: false,
    summary: "The request needs an If-Match header.",
    remedy: "Send If-Match with the document's etag, or * to take any.",
    http: { status: 412, code: 412001, name: "PreconditionFailed" },
  },
  "message.too_large": {
    retryable: false,
    summary: "A message is larger than IoT Hub accepts.",
    remedy:
      "Stay within 256 KB from a device, 64 KB to a device and 128 KB for a method; split or compress.",
    http: { status: 413, code: 413001, name: "MessageTooLarge" },
  },
  "message.bad_expiry": {
    retryable: false,
    summary: "A message's expiry time cannot be read or is out of range.",
    remedy: "Send an ISO 8601 time in UTC that lies ahead, at most two days.",
    http: { status: 403, code: 403009, name: "InvalidMessageExpiryTime" },
  },
  "quota.queue_full": {
    retryable: true,
    summary: "The device's queue already holds 50 cloud-to-device messages.",
    remedy:
      "Let the device receive and complete some, give messages a shorter expiry, or purge the queue.",
    http: { status: 403, code: 403004, name: "DeviceMaximumQueueDepthExceeded" },
  },
  "quota.throttled": {
    retryable: true,
    summary: "More operations were asked for than the hub allows in this time.",
    remedy: "Slow down and try again with exponential back-off.",
    http: { status: 429, code: 429001, name: "ThrottlingException" },
    connack: 3,
  },
  "request.malformed": {
    retryable: false,
    summary: "The request's address or headers cannot be read.",
    remedy: "Percent-encode path segments and query values as UTF-8.",
    http: { status: 400, code: 400000, name: "GenericBadRequest" },
  },
  "request.too_large": {
    retryable: false,
    summary: "The request's body is larger than the hub accepts.",
    remedy:
      "Send only what the call needs: 64 KB for an identity, 136 KB for a method call, 1 MB for a twin.",
    http: { status: 413, code: 413000, name: "GenericRequestEntityTooLarge" },
  },
  "request.api_version": {
    retryable: false,
    summary: "The request names no api-version, or one the hub does not know.",
    remedy: "Add ?api-version=2021-04-12 to the address.",
    http: { status: 400, code: 400001, name: "InvalidProtocolVersion" },
  },
  "request.content_type": {
    retryable: false,
    summary: "The request's body is not of the type this call needs.",
    remedy: "Send Content-Type: application/json.",
    http: { status: 415, code: 415000, name: "GenericUnsupportedMediaType" },
  },
  "route.not_found": {
    retryable: false,
    summary: "The hub has nothing at this address.",
    remedy:
      "Check the path; docs/compatibility.md lists what this hub serves, and what Azure has beyond that.",
    http: { status: 404, code: 404000, name: "GenericNotFound" },
  },
  "route.method_not_allowed": {
    retryable: false,
    summary: "The address exists and does not take this HTTP method.",
    remedy: "Use one of the methods in the Allow header.",
    http: { status: 405, code: 405000, name: "GenericMethodNotAllowed" },
  },
});

/** What befalls a connection or the hub itself. */
const runtimeErrors = group({
  "connection.replaced": {
    retryable: true,
    summary: "The same device connected again, and the newer connection wins.",
    remedy: "Look for a second process with this device id; one identity has one connection.",
    http: { status: 400, code: 400027, name: "ConnectionForcefullyClosedOnNewConnection" },
  },
  "connection.identity_revoked": {
    retryable: false,
    summary: "The connected device was disabled, deleted or given other credentials.",
    remedy: "Restore the registration, or give the device its new credentials.",
    http: unauthorized,
  },
  "connection.token_expired": {
    retryable: true,
    summary: "The token of a connected device ran out.",
    remedy: "Reconnect with a new token before the old one expires; check the clock of the device.",
    http: unauthorized,
  },
  "store.unavailable": {
    retryable: true,
    summary: "The hub's store cannot take or give data at the moment.",
    remedy: "Try again; the hub's own log says what is wrong with the disk or database.",
    http: { status: 503, code: 503001, name: "ServiceUnavailable" },
    connack: 3,
  },
  "hub.busy": {
    retryable: true,
    summary: "The hub has as many connections or requests as it accepts.",
    remedy: "Try again with back-off, or raise the hub's limits.",
    http: { status: 503, code: 503005, name: "ServerBusy" },
    connack: 3,
  },
  "hub.stopping": {
    retryable: true,
    summary: "The hub is finishing its work before it stops.",
    remedy: "Reconnect with back-off; a restart takes seconds, and what was acknowledged is kept.",
    http: { status: 503, code: 503001, name: "ServiceUnavailable" },
    connack: 3,
  },
  "hub.internal": {
    retryable: true,
    summary: "The hub failed in a way it did not foresee.",
    remedy: "Look for the tracking id in the hub's log and report it.",
    http: { status: 500, code: 500001, name: "ServerError" },
    connack: 3,
  },
  "hub.port_in_use": {
    retryable: false,
    summary: "A port the hub wants to listen on is taken by another program.",
    remedy: "Stop the other program, or choose another port.",
  },
  "hub.port_not_permitted": {
    retryable: false,
    summary: "The system does not let this user listen on the port.",
    remedy: "Choose a port above 1023, or give the program the right to bind low ports.",
  },
  "hub.address_unavailable": {
    retryable: false,
    summary: "The address the hub is to listen on does not belong to this machine.",
    remedy: "Listen on 127.0.0.1, on 0.0.0.0, or on an address of this machine.",
  },
  "hub.data_locked": {
    retryable: false,
    summary: "Another hub is using the data directory.",
    remedy: "Stop the other hub, or give this one a directory of its own.",
  },
  "hub.data_newer_format": {
    retryable: false,
    summary: "The data directory was written by a newer version of the hub.",
    remedy: "Run that version or a later one; the data was not touched.",
  },
  "hub.data_corrupt": {
    retryable: false,
    summary: "A file in the data directory is damaged beyond what recovery may repair.",
    remedy:
      "Restore the file named in the message from a backup, or start with an empty data directory.",
  },
  "hub.disk_read_only": {
    retryable: false,
    summary: "The data directory cannot be written to.",
    remedy:
      "Give the hub's user write access, mount the disk read-write, or choose another directory.",
  },
  "hub.disk_full": {
    retryable: true,
    summary:
      "The disk with the data directory is full: nothing more is acknowledged until there is room.",
    remedy: "Free some room or shorten the retention; the hub goes on by itself.",
    http: { status: 503, code: 503001, name: "ServiceUnavailable" },
    connack: 3,
  },
});

export const hubErrors = group({ ...authErrors, ...serviceErrors, ...runtimeErrors });
