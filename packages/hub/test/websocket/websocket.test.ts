import { randomBytes } from "node:crypto";
import { once } from "node:events";
import tls from "node:tls";
import type * as Device from "azure-iot-device";
import { connect } from "@hubwire/device";
import { webSocket } from "@hubwire/websocket";
import rhea from "rhea";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { Hub } from "../../src/index.ts";
import { require, trustedHub } from "../amqp/world.ts";

let hub: Hub;
beforeAll(async () => {
  hub = await trustedHub();
});
afterAll(() => hub.stop());

const url = (path: string): string => `wss://localhost:${hub.httpsPort}${path}`;

/** What the upgrade comes to: the agreed subprotocol, or the status of the refusal. */
async function upgrade(path: string, protocols: string[]): Promise<string | number> {
  const socket = new WebSocket(url(path), protocols, { ca: hub.caPem });
  socket.on("error", () => {});
  return new Promise((resolve) => {
    socket.on("open", () => {
      resolve(socket.protocol);
      socket.terminate();
    });
    socket.on("unexpected-response", (_, response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
  });
}

test.each([
  ["/$iothub/websocket", ["mqtt"], "mqtt"],
  ["/$iothub/websocket?iothub-no-client-cert=true", ["mqtt"], "mqtt"],
  ["/%24iothub/websocket", ["mqtt"], "mqtt"],
  ["/$IoTHub/WebSocket/", ["AMQPWSB10"], "AMQPWSB10"],
  ["/$iothub/websocket", ["other", "AMQPWSB10", "mqtt"], "AMQPWSB10"],
  ["/$servicebus/websocket", ["AMQPWSB10"], "AMQPWSB10"],
  ["/$servicebus/websocket", ["mqtt"], 400],
  ["/$iothub/websocket", ["other"], 400],
  ["/$iothub/websocket", [], 400],
  ["/devices", ["mqtt"], 404],
])("%s with %j is answered %s", async (path, protocols, answer) => {
  expect(await upgrade(path, protocols)).toBe(answer);
});

test("MQTT over WebSocket carries telemetry and cloud-to-device messages", async () => {
  const { connectionString } = await hub.createDevice({ deviceId: "ours" });
  const device = await connect({
    connectionString: connectionString.replace(/(HostName=[^;:]*):\d+/, "$1"),
    ca: hub.caPem,
    transport: webSocket({ port: hub.httpsPort }),
  } as never);
  await device.sendTelemetry("up ".repeat(50_000));
  await hub.sendToDevice("ours", "down");
  for await (const message of device.messages()) {
    expect(new TextDecoder().decode(message.body)).toBe("down");
    break;
  }
  await device.close();
});

test("the official device client's MqttWs works, but for the port it cannot be told", async () => {
  const { Client, Message } = require("azure-iot-device") as typeof Device;
  type Base = new (...args: unknown[]) => {
    _getBaseTransportConfig(credentials: unknown): { uri: string };
  };
  const { MqttWs } = require("azure-iot-device-mqtt") as unknown as { MqttWs: Base };
  class MovedMqttWs extends MqttWs {
    override _getBaseTransportConfig(credentials: unknown) {
      const config = super._getBaseTransportConfig(credentials);
      return { ...config, uri: config.uri.replace(":443/", `:${hub.httpsPort}/`) };
    }
  }
  const { connectionString } = await hub.createDevice({ deviceId: "official" });
  const client = Client.fromConnectionString(
    connectionString.replace(/(HostName=[^;:]*):\d+/, "$1"),
    MovedMqttWs as never,
  );
  await client.open();
  const got = new Promise<string>((resolve) => {
    client.on("message", (message: { data: Buffer }) => resolve(message.data.toString()));
  });
  await client.sendEvent(new Message("x"));
  await hub.sendToDevice("official", "hello");
  expect(await got).toBe("hello");
  await client.close();
});

test("AMQP over WebSocket opens without SASL too", async () => {
  const connector = rhea.websocket_connect(WebSocket as never);
  const connection = rhea.create_container().connect({
    connection_details: connector(url("/$iothub/websocket"), ["AMQPWSB10"], {
      ca: hub.caPem,
    } as never),
    reconnect: false,
  } as never);
  await once(connection as never, "connection_open");
  connection.close();
  await once(connection as never, "connection_close");
});

const open = async (): Promise<WebSocket> => {
  const socket = new WebSocket(url("/$iothub/websocket"), ["mqtt"], { ca: hub.caPem });
  socket.on("error", () => {});
  await once(socket, "open");
  return socket;
};

test("a text message is refused with 1003, one that is too large with 1009", async () => {
  const text = await open();
  text.send("hello");
  expect((await once(text, "close"))[0]).toBe(1003);
  const large = await open();
  large.send(Buffer.alloc(2_000_000));
  expect((await once(large, "close"))[0]).toBe(1009);
});

test("pings are answered", async () => {
  const socket = await open();
  socket.ping("are you there");
  expect(String((await once(socket, "pong"))[0])).toBe("are you there");
  socket.terminate();
});

test("any bytes behind an upgrade never end the hub, nor other connections", async () => {
  const runs = Number(process.env["HUBWIRE_LONG"] === "1" ? 5_000 : 30);
  const other = await open();
  const handshake =
    "GET /$iothub/websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
  for (let run = 0; run < runs; run++) {
    const socket = tls.connect({ host: "localhost", port: hub.httpsPort, ca: hub.caPem });
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    socket.write(handshake);
    socket.resume();
    const frame = randomBytes(2 + Math.floor(Math.random() * 200));
    // Half of them begin as a frame would.
    if (run % 2 === 0) frame[0] = 0x82;
    socket.end(frame);
    await once(socket, "close");
  }
  other.ping();
  await once(other, "pong");
  other.terminate();
});

test("a hub stops although WebSockets are open", async () => {
  const short = await trustedHub();
  const socket = new WebSocket(`wss://localhost:${short.httpsPort}/$iothub/websocket`, ["mqtt"], {
    ca: short.caPem,
  });
  socket.on("error", () => {});
  await once(socket, "open");
  const closed = once(socket, "close");
  await short.stop();
  await closed;
});
