import { group } from "./entry.ts";

const unauthorized = { status: 401, code: 401003, name: "IotHubUnauthorized" } as const;

/**
 * Why a CONNECT or a REST call was not let in: one code per exact check that failed. On the wire most of them look the
 * same (CONNACK 5, 401003), as on the real service; the code is for the hub's log and its owner.
 * SDKs stop for good on CONNACK 2 and 4, so these are not used where Azure answers 5.
 */
export const authErrors = group({
  "auth.username_missing": {
    retryable: false,
    summary: "CONNECT carries no user name.",
    remedy: "Set the user name to {host}/{deviceId}/?api-version=2021-04-12, with X.509 too.",
    connack: 5,
    http: unauthorized,
  },
  "auth.username_malformed": {
    retryable: false,
    summary: "CONNECT carries a user name that names no device.",
    remedy:
      "Write it as {host}/{deviceId}/?api-version=2021-04-12, for a module {host}/{deviceId}/{moduleId}/?….",
    connack: 5,
    http: unauthorized,
  },
  "auth.host_mismatch": {
    retryable: false,
    summary: "The user name names another hub.",
    remedy: "Use this hub's host name in the user name and in the token's resource.",
    connack: 5,
    http: unauthorized,
  },
  "auth.client_id_empty": {
    retryable: false,
    summary: "CONNECT carries an empty client id.",
    remedy: "Set the client id to the device id, for a module to {deviceId}/{moduleId}.",
    connack: 2,
    http: unauthorized,
  },
  "auth.client_id_malformed": {
    retryable: false,
    summary: "The client id is not a device id or {deviceId}/{moduleId}.",
    remedy: "Set the client id to the registered device id, for a module to {deviceId}/{moduleId}.",
    connack: 5,
    http: unauthorized,
  },
  "auth.client_id_mismatch": {
    retryable: false,
    summary: "The client id names another device than the user name.",
    remedy: "Use the same device id (and module id) in both; they are case-sensitive.",
    connack: 5,
    http: unauthorized,
  },
  "auth.device_unknown": {
    retryable: false,
    summary: "No device with this id is registered.",
    remedy: "Register the device first; ids are case-sensitive.",
    connack: 5,
    http: unauthorized,
  },
  "auth.module_unknown": {
    retryable: false,
    summary: "The device is registered and has no module with this id.",
    remedy: "Register the module first; ids are case-sensitive.",
    connack: 5,
    http: unauthorized,
  },
  "auth.device_disabled": {
    retryable: false,
    summary: "The device is disabled.",
    remedy: "Enable it in the registry if it is meant to connect.",
    connack: 5,
    http: { status: 403, code: 403012, name: "DeviceDisabled" },
  },
  "auth.wrong_type": {
    retryable: false,
    summary: "The device is registered for another kind of authentication than it used.",
    remedy:
      "Connect with what the registry says (a token for sas, a certificate for X.509), or change the registration.",
    connack: 5,
    http: unauthorized,
  },
  "auth.missing_password": {
    retryable: false,
    summary: "A device that authenticates with a key sent no token as its password.",
    remedy: "Put the whole SharedAccessSignature … text into the MQTT password.",
    connack: 5,
    http: unauthorized,
  },
  "auth.missing_authorization": {
    retryable: false,
    summary: "A request carries no Authorization header.",
    remedy: "Send Authorization: SharedAccessSignature sr=…&sig=…&se=…&skn={policy}.",
    http: unauthorized,
  },
  "auth.token_malformed": {
    retryable: false,
    summary: "The password or Authorization header is not a shared access signature.",
    remedy: "Send the whole token, beginning with SharedAccessSignature and one space.",
    connack: 5,
    http: unauthorized,
  },
  "auth.token_expired": {
    retryable: false,
    summary: "The token's expiry lies in the past.",
    remedy:
      "Check the clock of the device (a wrong clock is the usual cause), then make a new token.",
    connack: 5,
    http: unauthorized,
  },
  "auth.token_scope": {
    retryable: false,
    summary: "The token is for another resource than the one asked for.",
    remedy:
      "Sign {host}/devices/{deviceId} (for a module {host}/devices/{deviceId}/modules/{moduleId}); ids are case-sensitive.",
    connack: 5,
    http: unauthorized,
  },
  "auth.token_signature": {
    retryable: false,
    summary: "The token was signed with neither key of the device or policy it names.",
    remedy:
      "Check that the key is this device's (or policy's), was base64-decoded for signing and has not been renewed.",
    connack: 5,
    http: unauthorized,
  },
  "auth.policy_unknown": {
    retryable: false,
    summary: "The token names a shared access policy (skn) that the hub does not have.",
    remedy: "Use an existing policy; for a device key leave skn out.",
    connack: 5,
    http: unauthorized,
  },
  "auth.policy_permission": {
    retryable: false,
    summary: "The token's policy does not have the permission this needs.",
    remedy: "Use a policy with the permission named in the message.",
    connack: 5,
    http: { status: 401, code: 401002, name: "IotHubUnauthorizedAccess" },
  },
  "auth.certificate_missing": {
    retryable: false,
    summary: "A device registered for X.509 presented no client certificate.",
    remedy: "Give the client its certificate and key, or register the device for keys.",
    connack: 5,
    http: unauthorized,
  },
  "auth.certificate_expired": {
    retryable: false,
    summary: "The client certificate is past its end date.",
    remedy: "Issue a new certificate; check the hub's clock if the date looks right.",
    connack: 5,
    http: unauthorized,
  },
  "auth.certificate_not_yet_valid": {
    retryable: false,
    summary: "The client certificate is not valid yet.",
    remedy: "Check the clocks of the hub and of the machine that issued the certificate.",
    connack: 5,
    http: unauthorized,
  },
  "auth.certificate_untrusted": {
    retryable: false,
    summary: "The client certificate does not chain to a CA the hub trusts.",
    remedy:
      "Send the intermediates with the leaf, and register the CA with the hub (hub start --device-ca).",
    connack: 5,
    http: unauthorized,
  },
  "auth.certificate_cn": {
    retryable: false,
    summary: "The certificate's common name is not the device id.",
    remedy:
      "Issue the certificate with CN = the device id, for a module {deviceId}/{moduleId}; case matters.",
    connack: 5,
    http: unauthorized,
  },
  "auth.thumbprint": {
    retryable: false,
    summary: "The certificate's thumbprint is neither of the two registered for the device.",
    remedy:
      "Register the SHA-1 or SHA-256 thumbprint of the certificate the device presents, hex without colons.",
    connack: 5,
    http: unauthorized,
  },
});
