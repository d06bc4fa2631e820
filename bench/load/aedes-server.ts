/** The aedes broker over TLS, in memory. `node aedes-server.ts key.pem cert.pem`. */
import { readFileSync } from "node:fs";
import { createServer } from "node:tls";
import { Aedes } from "aedes";

const [keyFile = "", certFile = ""] = process.argv.slice(2);
const broker = await Aedes.createBroker();
const server = createServer(
  { key: readFileSync(keyFile), cert: readFileSync(certFile) },
  broker.handle,
);
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  process.stdout.write(`${JSON.stringify({ port: address.port })}\n`);
});
