import { autoDialer, systemClock, tlsDialer } from "@hubwire/transport";
import type { Transport } from "@hubwire/transport";
import { webSocket } from "./web-socket.ts";
import type { WebSocketOptions } from "./web-socket.ts";

export type AutoOptions = WebSocketOptions & {
  /** How long the way that is tried first is tried alone, 5000; at most a quarter of the time for an attempt. */
  headStartMs?: number;
  /** How long WebSocket stays first choice once it was what worked, 3600000. */
  returnAfterMs?: number;
};

/**
 * TLS to port 8883, and MQTT over WebSocket where the network does not let that through. A certificate that is refused on
 * 8883 is an error and never a reason for the other way.
 */
export function auto(options: AutoOptions = {}): Transport {
  const { headStartMs, returnAfterMs, ...rest } = options;
  const overWebSocket = webSocket(rest);
  return {
    kind: "auto",
    dialer: (given) => {
      const { clock = systemClock(), timeoutMs } = given;
      return autoDialer(
        [
          { name: "TLS", dial: tlsDialer(given) },
          { name: "WebSocket", dial: overWebSocket.dialer(given) },
        ],
        {
          clock,
          ...(timeoutMs !== undefined && { timeoutMs }),
          ...(headStartMs !== undefined && { headStartMs }),
          ...(returnAfterMs !== undefined && { returnAfterMs }),
        },
      );
    },
  };
}
