import { group } from "./entry.ts";

/** What can be wrong with a connection string. Messages name keys and never show a secret. */
export const connectionStringErrors = group({
  "connection_string.malformed": {
    retryable: false,
    summary: "The text is not a list of Name=value parts separated by semicolons.",
    remedy: "Copy the whole connection string again, without line breaks or quotes.",
  },
  "connection_string.missing_host_name": {
    retryable: false,
    summary: "The connection string has no HostName.",
    remedy: "Add HostName={hub}.azure-devices.net (or the host of your own hub).",
  },
  "connection_string.bad_host_name": {
    retryable: false,
    summary: "HostName or GatewayHostName is not a host name.",
    remedy: "Write the bare host, such as myhub.azure-devices.net: no https://, no path.",
  },
  "connection_string.missing_device_id": {
    retryable: false,
    summary: "A device connection string needs DeviceId.",
    remedy: "Add DeviceId={id}, or copy the device's own connection string.",
  },
  "connection_string.bad_device_id": {
    retryable: false,
    summary: "DeviceId has characters or a length that IoT Hub does not allow.",
    remedy: "Use 1 to 128 characters of A-Z a-z 0-9 - . + % _ # * ? ! ( ) , : = @ $ '",
  },
  "connection_string.bad_module_id": {
    retryable: false,
    summary: "ModuleId has characters or a length that IoT Hub does not allow.",
    remedy:
      "Use 1 to 128 characters of A-Z a-z 0-9 - . + % _ # * ? ! ( ) , : = @ ', not starting with $.",
  },
  "connection_string.missing_credentials": {
    retryable: false,
    summary: "The connection string says nothing about how to authenticate.",
    remedy: "Add SharedAccessKey={key}, SharedAccessSignature={token} or x509=true.",
  },
  "connection_string.mixed_credentials": {
    retryable: false,
    summary: "The connection string names more than one way to authenticate.",
    remedy: "Keep exactly one of SharedAccessKey, SharedAccessSignature and x509=true.",
  },
  "connection_string.missing_policy_name": {
    retryable: false,
    summary: "A service connection string needs SharedAccessKeyName.",
    remedy: "Add SharedAccessKeyName={policy}, such as iothubowner or service.",
  },
  "connection_string.missing_policy_key": {
    retryable: false,
    summary: "A service connection string needs SharedAccessKey.",
    remedy: "Add SharedAccessKey={key of the policy}.",
  },
  "connection_string.is_service": {
    retryable: false,
    summary: "This is a service (policy) connection string where a device's is needed.",
    remedy: "Use the connection string of the device; it has a DeviceId.",
  },
  "connection_string.is_device": {
    retryable: false,
    summary: "This is a device connection string where a service's (policy) is needed.",
    remedy:
      "Use the connection string of a shared access policy; it has SharedAccessKeyName and no DeviceId.",
  },
  "connection_string.is_event_hubs": {
    retryable: false,
    summary: "This is an Event Hubs-compatible connection string (Endpoint=sb://…).",
    remedy: "Use the IoT Hub connection string; it starts with HostName=.",
  },
  "connection_string.empty_value": {
    retryable: false,
    summary: "A part of the connection string has a name and no value.",
    remedy: "Fill in the value named in the message, or remove the part.",
  },
  "connection_string.repeated_key": {
    retryable: false,
    summary: "A part appears twice in the connection string.",
    remedy: "Keep one of the two parts.",
  },
  "connection_string.unknown_key": {
    retryable: false,
    summary: "The connection string has a part that IoT Hub does not know.",
    remedy: "Correct its spelling (names are case-sensitive) or remove it.",
  },
  "connection_string.key_not_base64": {
    retryable: false,
    summary: "SharedAccessKey is not base64 text.",
    remedy: "Copy the key again: it has only A-Z a-z 0-9 + / and ends in = signs.",
  },
  "connection_string.x509_not_true": {
    retryable: false,
    summary: "x509 has a value other than true.",
    remedy:
      "Write x509=true and give the certificate and key beside the string, or remove the part and use a key.",
  },
});
