import { group } from "./entry.ts";

export const transportErrors = group({
  "transport.dns": {
    retryable: true,
    summary: "The host name could not be resolved.",
    remedy:
      "Check the spelling of HostName and the device's DNS server; without a network this ends by itself.",
  },
  "transport.refused": {
    retryable: true,
    summary: "The host answered, but nothing listens on that port.",
    remedy:
      "Start the hub, or correct the port (8883 is MQTT over TLS); a firewall may also refuse.",
  },
  "transport.unreachable": {
    retryable: true,
    summary: "There is no route to the host.",
    remedy: "Check the device's network, gateway and VPN.",
  },
  "transport.timeout": {
    retryable: true,
    summary: "The connection was not made, or not answered, in time.",
    remedy:
      "Check that a firewall does not swallow outgoing port 8883; on slow links raise the connection timeout.",
  },
  "transport.reset": {
    retryable: true,
    summary: "The connection was cut by the peer or by something on the way.",
    remedy:
      "Reconnect; if it happens at a steady interval, look for an idle timeout on the way and lower keepAliveS.",
  },
  "transport.closed": {
    retryable: true,
    summary: "The peer closed the connection.",
    remedy: "Reconnect; if the peer closes right after CONNECT, its log tells which check failed.",
  },
  "transport.slow_reader": {
    retryable: true,
    summary:
      "The peer did not take what was sent to it, and the buffer for it was full for too long.",
    remedy: "Reconnect; look for a blocked handler or a saturated link on the receiving side.",
  },
  "transport.tls_untrusted": {
    retryable: false,
    summary:
      "The server's certificate does not lead to a certificate authority this device trusts.",
    remedy:
      "Pass the PEM of the root that issued it as `ca`; for Azure IoT Hub that is DigiCert Global Root G2, for a local hub its ca.pem.",
  },
  "transport.tls_self_signed": {
    retryable: false,
    summary: "The server's certificate is self-signed and not among those this device trusts.",
    remedy:
      "If it is the server you mean, pass its certificate as `ca`; otherwise something on the way answers in its place.",
  },
  "transport.tls_expired": {
    retryable: true,
    summary: "A certificate in the server's chain is past its date.",
    remedy:
      "Renew the server's certificate; if it is valid, the device's clock runs ahead: set it (NTP).",
  },
  "transport.tls_not_yet_valid": {
    retryable: true,
    summary: "A certificate in the server's chain is not valid yet.",
    remedy: "Set the device's clock (NTP): after a power loss it often starts in the past.",
  },
  "transport.tls_name_mismatch": {
    retryable: false,
    summary: "The server's certificate is for other names than the host that was asked for.",
    remedy:
      "Connect by one of the names in the certificate, or issue one whose subjectAltName holds the host.",
  },
  "transport.tls_pin": {
    retryable: false,
    summary: "The server's certificate chain is valid but holds none of the pinned public keys.",
    remedy:
      "Compare the hashes in the message with `pins.sha256`: if the hub changed its authority, add the new one's hash; otherwise something on the way answers in its place.",
  },
  "transport.tls_protocol": {
    retryable: false,
    summary: "The peer does not speak TLS, or no TLS version that both sides allow.",
    remedy:
      "Check that the port is a TLS port (8883, not 1883) and that both sides allow TLS 1.2 or newer.",
  },
  "transport.tls_handshake": {
    retryable: true,
    summary: "The TLS handshake failed.",
    remedy:
      "See the message for the alert; look for a proxy that intercepts TLS and for cipher suites both sides share.",
  },
  "transport.tls_credentials": {
    retryable: false,
    summary: "The certificate, private key, chain or CA given to this side cannot be used.",
    remedy:
      "Pass PEM text; the key must belong to the certificate, and an encrypted key needs its passphrase.",
  },
  "transport.client_certificate_rejected": {
    retryable: false,
    summary: "The server refused the device's certificate during the TLS handshake.",
    remedy:
      "Check its date, that it is the one registered, and that the chain with all intermediates is sent.",
  },
});
