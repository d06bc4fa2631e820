import { createPrivateKey } from "node:crypto";
import { listenTls, systemClock } from "@hubwire/transport";
import { testCertificates } from "@hubwire/testkit";
import { connect } from "@hubwire/device";
import type { ConnectOptions } from "@hubwire/device";
import { expect, test } from "vitest";
import { FakeHub } from "./support/fake-hub.ts";

const certificates = await testCertificates();
const authority = await certificates.ca({ cn: "Device CA" });
const intermediate = await certificates.ca({ cn: "Device intermediate", issuer: authority });
const device = await certificates.issue({ cn: "dev1", issuer: intermediate });
const passphrase = "open sesame";
const encryptedKey = createPrivateKey(device.key)
  .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase })
  .toString();
const x509 = "HostName=localhost;DeviceId=dev1;x509=true";

/** A hub behind real TLS on a free port, what it saw of the client's certificate, and a client connected to it. */
async function connected(options: (port: number) => ConnectOptions) {
  const hub = new FakeHub(systemClock());
  const seen: { commonName: string | undefined; chain: number }[] = [];
  const listener = await listenTls({
    host: "127.0.0.1",
    port: 0,
    key: certificates.server.key,
    cert: certificates.server.fullChain,
    onStream: (stream) => {
      const { certificate } = stream.peer;
      seen.push({ commonName: certificate?.commonName, chain: certificate?.chain.length ?? 0 });
      hub.serve(stream);
    },
  });
  try {
    await using client = await connect(options(listener.port));
    await client.sendTelemetry("over TLS");
    return { hub, seen };
  } finally {
    await listener.close();
  }
}

test.each([
  ["as text", { cert: device.cert, key: device.key, chain: device.chain }],
  ["in one file", { cert: device.fullChain, key: device.key }],
  [
    "as bytes",
    {
      cert: Buffer.from(device.cert),
      key: Buffer.from(device.key),
      chain: Buffer.from(device.chain),
    },
  ],
  ["with an encrypted key", { cert: device.fullChain, key: encryptedKey, passphrase }],
])("a certificate and its chain %s reach the hub", async (_name, certificate) => {
  const { hub, seen } = await connected((port) => ({
    connectionString: x509,
    certificate,
    port,
    ca: certificates.root.cert,
  }));
  expect(seen).toEqual([{ commonName: "dev1", chain: 1 }]);
  expect(hub.texts).toEqual(["over TLS"]);
});

test("a key needs no certificate; authorities may come as a list; the port may stand in the host name", async () => {
  const { hub, seen } = await connected((port) => ({
    connectionString: `HostName=localhost:${port};DeviceId=dev1;SharedAccessKey=MDEyMzQ1Njc4OTAxMjM0NTY3`,
    ca: [authority.cert, Buffer.from(certificates.root.cert)],
  }));
  expect(seen).toEqual([{ commonName: undefined, chain: 0 }]);
  expect(hub.texts).toEqual(["over TLS"]);
});

test("through a gateway: the gateway is dialled and its certificate checked, the user name keeps the hub", async () => {
  const { hub } = await connected((port) => ({
    connectionString:
      "HostName=hub.example;DeviceId=dev1;SharedAccessKey=MDEyMzQ1Njc4OTAxMjM0NTY3;GatewayHostName=localhost",
    port,
    ca: certificates.root.cert,
  }));
  expect(hub.connections[0]?.request?.username).toMatch(/^hub\.example\/dev1\//);
});

test("a hub with a certificate of an unknown authority is not talked to", async () => {
  const refused = connected((port) => ({
    connectionString: x509,
    certificate: { cert: device.fullChain, key: device.key },
    port,
    ca: authority.cert,
  }));
  await expect(refused).rejects.toMatchObject({
    code: "transport.tls_untrusted",
    retryable: false,
  });
});
