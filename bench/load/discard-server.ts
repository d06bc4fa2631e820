/** Acknowledges everything and keeps nothing: what the generator can reach at best. `node discard-server.ts key.pem cert.pem`. */
import { readFileSync } from "node:fs";
import { createServer } from "node:tls";

const [keyFile = "", certFile = ""] = process.argv.slice(2);
const server = createServer(
  { key: readFileSync(keyFile), cert: readFileSync(certFile) },
  (socket) => {
    socket.setNoDelay(true);
    let carry: Buffer = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      const bytes = carry.length === 0 ? chunk : Buffer.concat([carry, chunk]);
      const acks = Buffer.allocUnsafe(4 * (1 + Math.floor(bytes.length / 8)));
      let at = 0;
      let out = 0;
      while (at + 2 <= bytes.length) {
        let length = 0;
        let shift = 0;
        let index = at + 1;
        let digit = 0x80;
        while (index < bytes.length && (digit & 0x80) !== 0) {
          digit = bytes[index] ?? 0;
          length += (digit & 0x7f) << shift;
          shift += 7;
          index += 1;
        }
        if ((digit & 0x80) !== 0 || index + length > bytes.length) break;
        const first = bytes[at] ?? 0;
        if (first >> 4 === 1) {
          socket.write(Buffer.from([0x20, 2, 0, 0]));
        } else if (first >> 4 === 3 && (first & 6) !== 0) {
          const topicLength = bytes.readUInt16BE(index);
          acks[out] = 0x40;
          acks[out + 1] = 2;
          acks[out + 2] = bytes[index + 2 + topicLength] ?? 0;
          acks[out + 3] = bytes[index + 3 + topicLength] ?? 0;
          out += 4;
        }
        at = index + length;
      }
      carry = at === bytes.length ? Buffer.alloc(0) : bytes.subarray(at);
      if (out > 0) socket.write(acks.subarray(0, out));
    });
  },
);
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  process.stdout.write(`${JSON.stringify({ port: address.port })}\n`);
});
