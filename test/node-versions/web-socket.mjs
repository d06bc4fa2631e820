// A device whose MQTT goes over WebSocket, on the built packages: first by choice, then because the port of MQTT over TLS is shut.
import assert from "node:assert/strict";
import { connect } from "@hubwire/device";
import { auto, webSocket } from "@hubwire/websocket";

const { connectionString, ca, port } = JSON.parse(process.env.HUBWIRE_TEST_HUB);
for (const [transport, options] of [
  [webSocket({ port }), {}],
  // Nothing listens on port 1.
  [auto({ port }), { port: 1 }],
]) {
  const client = await connect({ connectionString, ca, transport, ...options });
  await client.sendTelemetry(`over ${transport.kind}`);
  await client.close();
  assert.equal(client.status().state, "closed");
}
