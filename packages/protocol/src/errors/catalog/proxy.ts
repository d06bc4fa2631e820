import { group } from "./entry.ts";

/** Between the device and the hub stands a proxy, and it is the proxy that does not let this through. */
export const proxyErrors = group({
  "transport.proxy_unreachable": {
    retryable: true,
    summary: "The proxy could not be reached.",
    remedy: "Check host and port in `proxy`, and that the proxy runs.",
  },
  "transport.proxy_timeout": {
    retryable: true,
    summary: "The proxy did not answer in time.",
    remedy:
      "Check that the proxy itself reaches the network; on slow links raise the connection timeout.",
  },
  "transport.proxy_auth": {
    retryable: false,
    summary: "The proxy wants other credentials than it was given, or some at all.",
    remedy:
      "Give user name and password in `proxy`; HTTP proxies are answered with Basic, SOCKS5 with user name and password, and with no other method.",
  },
  "transport.proxy_refused": {
    retryable: true,
    summary: "The proxy does not connect to the hub.",
    remedy:
      "See the message for the proxy's reason; many allow CONNECT to port 443 only: use MQTT over WebSocket, or have port 8883 allowed.",
  },
  "transport.proxy_protocol": {
    retryable: false,
    summary: "What answers as the proxy does not speak the protocol `proxy` says.",
    remedy: "Check the scheme in `proxy` (http, https or socks5) and the port.",
  },
});
