import { group } from "./entry.ts";

export const webSocketErrors = group({
  "transport.websocket_refused": {
    retryable: true,
    summary:
      "The server answered the WebSocket request with an HTTP status instead of a connection.",
    remedy:
      "See the message for the status: 401 and 403 are the server's or a gateway's refusal, 404 a wrong path, a redirect often a captive portal, 5xx a server that will be back.",
  },
  "transport.websocket_protocol": {
    retryable: false,
    summary: "What the server sent breaks the WebSocket protocol.",
    remedy: "Check host and port; look for a gateway on the way that does not know WebSocket.",
  },
  "transport.websocket_subprotocol": {
    retryable: false,
    summary: "The server does not speak MQTT over this WebSocket.",
    remedy:
      "Check host and path: an IoT hub answers with the subprotocol mqtt at /$iothub/websocket.",
  },
  "transport.websocket_text": {
    retryable: true,
    summary: "The server sent a text frame, where MQTT is binary.",
    remedy: "Reconnect; if it comes again, what answers is no MQTT server.",
  },
  "transport.websocket_too_large": {
    retryable: true,
    summary: "The server sent a WebSocket message larger than any MQTT packet of an IoT hub.",
    remedy: "Reconnect; if it comes again, what answers is no IoT hub.",
  },
  "transport.websocket_closed": {
    retryable: true,
    summary: "The server closed the WebSocket and gave a reason.",
    remedy: "See the message for the close code; reconnect.",
  },
  "transport.websocket_missing": {
    retryable: false,
    summary: "The package that carries MQTT over WebSocket is not installed.",
    remedy:
      "npm install @hubwire/websocket, and pass webSocket() or auto() from it as `transport`.",
  },
});
