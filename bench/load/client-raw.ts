/**
 * The ceiling: bytes of one PUBLISH made by hand, one socket, one write per turn of the event loop, and none of a client's
 * duties: no session, no queue, no bounds, no time-outs, nothing sent again. JSON options in, JSON result out.
 */
import { connect } from "node:tls";
import { measureClient, readClientOptions } from "./client-measure.ts";

const options = await readClientOptions();
const port = Number(/^HostName=localhost:(\d+)/u.exec(options.connectionString)?.[1]);
const connectStartedMs = performance.now();
const socket = connect({ host: "localhost", port, ca: options.ca });
socket.setNoDelay(true);
await new Promise((resolve) => socket.once("secureConnect", resolve));
const clientId = Buffer.from("bench");
const connectHead = [
  0x10,
  12 + clientId.length,
  0,
  4,
  77,
  81,
  84,
  84,
  4,
  2,
  0,
  60,
  0,
  clientId.length,
];
socket.write(Buffer.concat([Buffer.from(connectHead), clientId]));
await new Promise((resolve) => socket.once("data", resolve));

const topic = Buffer.from("devices/bench/messages/events/");
const body = Buffer.alloc(options.payloadBytes, 0x61);
const length = 2 + topic.length + 2 + body.length;
const head = Buffer.from([0x32, (length & 0x7f) | 0x80, length >> 7, 0, topic.length]);
const waiting: (() => void)[] = [];
let first = 0;
let packetId = 0;
let output: Buffer[] = [];

function flush(): void {
  socket.write(Buffer.concat(output));
  output = [];
}

socket.on("data", (acks: Buffer) => {
  for (let at = 0; at < acks.length; at += 4) waiting[first++]?.();
  if (first > 10_000) {
    waiting.splice(0, first);
    first = 0;
  }
});
await measureClient(options, performance.now() - connectStartedMs, (done) => {
  packetId = (packetId % 65_535) + 1;
  const packet = Buffer.allocUnsafe(3 + length);
  head.copy(packet);
  topic.copy(packet, head.length);
  packet.writeUInt16BE(packetId, head.length + topic.length);
  body.copy(packet, head.length + topic.length + 2);
  waiting.push(done);
  if (output.length === 0) setImmediate(flush);
  output.push(packet);
});
process.exit(0);
