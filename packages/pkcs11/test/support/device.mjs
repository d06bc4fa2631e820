// A device whose key is in a token, in a process of its own: SoftHSM's configuration and OpenSSL's engines belong to the process.
// Plain JavaScript, because it also runs on Nodes that do not read TypeScript.
import { inspect } from "node:util";
import { connect } from "@hubwire/device";
import { pkcs11SasCredentials, pkcs11X509Credentials } from "@hubwire/pkcs11";

const { kind, hostName, port, deviceId, ca, key, texts } = JSON.parse(
  process.env["HUBWIRE_TEST_DEVICE"] ?? "{}",
);
const provider = kind === "sas" ? pkcs11SasCredentials(key) : pkcs11X509Credentials(key);
const client = await connect({
  credentials: { hostName, deviceId, provider },
  port,
  ca,
  connectTimeoutMs: 20_000,
});
for (const text of texts) await client.sendTelemetry(text);
// What an application might print must not give the PIN away.
const shown = inspect([provider, client, await provider.next({ hostName, deviceId }, request())], {
  depth: 12,
  showHidden: true,
});
if (shown.includes(key.pin)) throw new Error("the PIN shows in util.inspect");
await client.close();
console.log("done");

function request() {
  return { wallMs: Date.now(), fresh: false, signal: new AbortController().signal };
}
