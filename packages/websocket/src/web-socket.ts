import { IotError } from "@hubwire/protocol";
import { DialAttempt, TlsSockets, tlsPeer } from "@hubwire/transport";
import type { Dial, DialerOptions, TlsDial, Transport } from "@hubwire/transport";
import { upgrade } from "./upgrade.ts";
import { WebSocketStream } from "./web-socket-stream.ts";

export type WebSocketOptions = {
  /** Default 443, the only one Azure IoT Hub has. */
  port?: number;
  /** Default `/$iothub/websocket`. */
  path?: string;
  /**
   * The largest message taken from the server, in bytes, 1 MiB; twice what an IoT hub's largest packet needs. A larger one
   * ends the connection.
   */
  messageBytesMax?: number;
};

/**
 * MQTT over WebSocket: for networks that let nothing out but HTTPS.
 *
 *     connect({ connectionString, transport: webSocket() })
 *
 * @throws IotError `argument.invalid`
 */
export function webSocket(options: WebSocketOptions = {}): Transport {
  const { path = "/$iothub/websocket", messageBytesMax = 1_048_576 } = options;
  checkPort(options.port);
  if (!/^\/[\x21-\x7e]*$/.test(path) || path.includes("#")) {
    throw invalid("path begins with / and has neither blanks nor #");
  }
  if (!Number.isInteger(messageBytesMax) || messageBytesMax < 1_024) {
    throw invalid(`messageBytesMax is a whole number of at least 1024, not ${messageBytesMax}`);
  }
  return {
    kind: "websocket",
    dialer: (given) => webSocketDialer({ ...options, path, messageBytesMax }, given),
  };
}

type Checked = WebSocketOptions & { path: string; messageBytesMax: number };

function webSocketDialer(options: Checked, given: DialerOptions): TlsDial {
  const { timeoutMs = 30_000, onServerTime } = given;
  const { path, messageBytesMax } = options;
  const port = options.port ?? given.port ?? 443;
  const sockets = new TlsSockets(given);
  const dial: Dial = async (target, signal) => {
    const attempt = new DialAttempt({ ...target, port }, timeoutMs, signal);
    try {
      const socket = await sockets.open(attempt);
      const peer = tlsPeer(socket, attempt.serverName);
      attempt.phase = "the WebSocket handshake";
      const connection = await upgrade(socket, attempt, { path, messageBytesMax, onServerTime });
      return new WebSocketStream(connection, socket, peer);
    } finally {
      attempt.done();
    }
  };
  return Object.assign(dial, { check: sockets.check.bind(sockets) });
}

function checkPort(port: number | undefined): void {
  if (port === undefined || (Number.isInteger(port) && port >= 1 && port <= 65_535)) return;
  throw invalid(`port is a whole number from 1 to 65535, not ${port}`);
}

const invalid = (message: string): IotError => new IotError("argument.invalid", message);
