/**
 * What Node's own HTTPS server can do when it has nothing to do: every request is read and answered with the same text, as long
 * as a twin. `node registry-bare.ts key.pem cert.pem 1400`.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const [keyFile = "", certFile = "", bytes = "0"] = process.argv.slice(2);
const text = JSON.stringify({ text: "x".repeat(Number(bytes)) });
const server = createServer(
  { key: readFileSync(keyFile), cert: readFileSync(certFile) },
  (request, response) => {
    request.resume().on("end", () => {
      response.writeHead(200, {
        "Content-Type": "application/json",
        "Content-Length": Buffer.byteLength(text),
      });
      response.end(text);
    });
  },
);
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  process.stdout.write(`${JSON.stringify({ port: address.port })}\n`);
});
process.on("SIGTERM", () => process.exit(0));
