import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { connect } from "node:tls";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";

export type WebSocketBridge = {
  port: number;
  /** Connections taken so far. */
  readonly taken: number;
  close(): Promise<void>;
};

/**
 * The front door that a hub in the cloud has on 443: takes MQTT over WebSocket at IoT Hub's path and hands the bytes, whatever
 * the frames' boundaries were, to a hub's TLS port.
 */
export async function startWebSocketBridge(options: {
  port: number;
  key: string;
  cert: string;
  hub: { port: number; ca: string };
}): Promise<WebSocketBridge> {
  const { key, cert, hub } = options;
  const https = createServer({ key, cert });
  let taken = 0;
  const server = new WebSocketServer({
    server: https,
    path: "/$iothub/websocket",
    handleProtocols: (offered) => (offered.has("mqtt") ? "mqtt" : false),
  });
  server.on("connection", (connection) => {
    taken += 1;
    join(connection, hub);
  });
  await new Promise<void>((resolve) => https.listen(options.port, "127.0.0.1", resolve));
  return {
    port: (https.address() as AddressInfo).port,
    get taken() {
      return taken;
    },
    close: async () => {
      for (const client of server.clients) client.terminate();
      await new Promise((resolve) => https.close(resolve));
    },
  };
}

function join(connection: WebSocket, hub: { port: number; ca: string }): void {
  const socket = connect({
    host: "localhost",
    port: hub.port,
    ca: hub.ca,
    servername: "localhost",
  });
  socket.on("error", () => connection.terminate());
  socket.on("close", () => connection.close());
  socket.on("data", (bytes: Buffer) => {
    // Cut in two, so that no packet ends where its frame does.
    const half = Math.ceil(bytes.length / 2);
    connection.send(bytes.subarray(0, half));
    if (half < bytes.length) connection.send(bytes.subarray(half));
  });
  connection.on("message", (bytes: Buffer) => socket.write(bytes));
  connection.on("error", () => socket.destroy());
  connection.on("close", () => socket.end());
}
