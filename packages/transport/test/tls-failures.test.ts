import { createServer as createTcpServer, Socket } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { IotError } from "@hubwire/protocol";
import type { TestCertificate } from "@hubwire/testkit";
import { SocketStream, tlsConnector } from "@hubwire/transport";
import type { TlsConnectorOptions } from "@hubwire/transport";
import { afterEach, expect, test } from "vitest";
import { Collector } from "./collector.ts";
import { certificates, connectTo, noSignal, startServer } from "./tls-world.ts";

const { root } = certificates;
const dayMs = 86_400_000;
const longAgo = new Date(Date.now() - 10 * dayMs);
const yesterday = new Date(Date.now() - dayMs);
const tomorrow = new Date(Date.now() + dayMs);
const san = ["127.0.0.1"];

const stranger = await certificates.ca({ cn: "Stranger CA" });
const intermediate = await certificates.ca({ cn: "Middle CA", issuer: root });
const badServers: { name: string; identity: TestCertificate; code: string; says: RegExp }[] = [
  {
    name: "issued by an authority the client does not know",
    identity: await certificates.issue({ cn: "hub", san, issuer: stranger }),
    code: "transport.tls_untrusted",
    says: /\(CN=hub\), issued by CN=Stranger CA, is not trusted/,
  },
  {
    name: "issued by an intermediate that the server does not send",
    identity: {
      ...(await certificates.issue({ cn: "hub", san, issuer: intermediate })),
      get fullChain() {
        return this.cert;
      },
    },
    code: "transport.tls_untrusted",
    says: /issued by CN=Middle CA/,
  },
  {
    name: "self-signed",
    identity: await certificates.selfSigned({ cn: "hub", san }),
    code: "transport.tls_self_signed",
    says: /issued by CN=hub, is not trusted/,
  },
  {
    name: "expired",
    identity: await certificates.issue({ cn: "hub", san, notBefore: longAgo, notAfter: yesterday }),
    code: "transport.tls_expired",
    says: /not valid at this device's time, \d{4}-.* valid from .* GMT to .* GMT/,
  },
  {
    name: "not yet valid",
    identity: await certificates.issue({ cn: "hub", san, notBefore: tomorrow }),
    code: "transport.tls_not_yet_valid",
    says: /not valid at this device's time/,
  },
  {
    name: "for other names",
    identity: await certificates.issue({ cn: "hub", san: ["other.example", "10.0.0.1"] }),
    code: "transport.tls_name_mismatch",
    says: /is not for 127\.0\.0\.1 but for DNS:other\.example, IP Address:10\.0\.0\.1/,
  },
];

test.each(badServers)("a server certificate $name: $code", async ({ identity, code, says }) => {
  const server = await startServer({ identity });
  const error = await failureOf({ port: server.port });
  expect(error).toMatchObject({ name: "IotError", code });
  expect(error.message).toMatch(says);
  expect(error.remedy).not.toBe("");
});

test("a self-signed server certificate passed as ca is trusted, and an intermediate that is sent is used", async () => {
  const identity = await certificates.selfSigned({ cn: "hub", san });
  const server = await startServer({ identity });
  await connectTo(server.port, { ca: [identity.cert] });
  const chained = await startServer({
    identity: await certificates.issue({ cn: "hub", san, issuer: intermediate }),
  });
  await connectTo(chained.port);
});

test("what one connector trusts, another does not", async () => {
  const server = await startServer();
  await connectTo(server.port);
  const error = await failureOf({ port: server.port, ca: [] });
  expect(error.code).toBe("transport.tls_untrusted");
});

test("a host name is asked for by SNI and looked for in the certificate, servername overrides it", async () => {
  const server = await startServer();
  await connectTo(server.port, { host: "localhost", servername: "my.hub.localhost" });
  expect((await server.nextStream()).stream.peer.serverName).toBe("my.hub.localhost");
  const error = await failureOf({ port: server.port, servername: "my-hub.example" });
  expect(error).toMatchObject({ code: "transport.tls_name_mismatch" });
});

test("TLS versions that do not meet: transport.tls_protocol", async () => {
  const modern = await startServer({ minVersion: "TLSv1.3" });
  expect(await failureOf({ port: modern.port, maxVersion: "TLSv1.2" })).toMatchObject({
    code: "transport.tls_protocol",
  });
  const old = await startServer({ maxVersion: "TLSv1.2" });
  expect(await failureOf({ port: old.port, minVersion: "TLSv1.3" })).toMatchObject({
    code: "transport.tls_protocol",
  });
});

test("a server that speaks something else than TLS: transport.tls_protocol", async () => {
  const port = await plainServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  expect(await failureOf({ port })).toMatchObject({ code: "transport.tls_protocol" });
});

test("a server that hangs up during the handshake: transport.reset", async () => {
  const port = await plainServer((socket) => socket.once("data", () => socket.destroy()));
  const error = await failureOf({ port });
  expect(error).toMatchObject({ code: "transport.reset", retryable: true });
  expect(error.message).toMatch(/during the TLS handshake/);
});

test("a server that accepts and says nothing: transport.timeout, which names the phase", async () => {
  const port = await plainServer(() => undefined);
  const error = await failureOf({ port, timeoutMs: 50 });
  expect(error).toMatchObject({ code: "transport.timeout", retryable: true });
  expect(error.message).toMatch(/within 50 ms: still in the TLS handshake/);
});

test("a port nobody listens on: transport.refused", async () => {
  const server = await startServer();
  await server.listener.close();
  expect(await failureOf({ port: server.port })).toMatchObject({ code: "transport.refused" });
  // By name there may be two addresses: each has its say.
  expect(await failureOf({ host: "localhost", port: server.port })).toMatchObject({
    code: "transport.refused",
  });
});

test("a name that does not exist: transport.dns", async () => {
  // RFC 6761: .invalid never resolves.
  const error = await failureOf({ host: "no-such-hub.invalid", port: 8883 });
  expect(error).toMatchObject({ code: "transport.dns", retryable: true });
  expect(error.message).toMatch(/no-such-hub\.invalid/);
});

/** RFC 8446, section 6.2: what a server may answer a handshake with. */
const alerts = [
  { alert: 40, name: "handshake_failure", code: "transport.tls_handshake" },
  { alert: 42, name: "bad_certificate", code: "transport.client_certificate_rejected" },
  { alert: 43, name: "unsupported_certificate", code: "transport.client_certificate_rejected" },
  { alert: 44, name: "certificate_revoked", code: "transport.client_certificate_rejected" },
  { alert: 45, name: "certificate_expired", code: "transport.client_certificate_rejected" },
  { alert: 46, name: "certificate_unknown", code: "transport.client_certificate_rejected" },
  { alert: 48, name: "unknown_ca", code: "transport.client_certificate_rejected" },
  { alert: 49, name: "access_denied", code: "transport.client_certificate_rejected" },
  { alert: 70, name: "protocol_version", code: "transport.tls_protocol" },
  { alert: 80, name: "internal_error", code: "transport.tls_handshake" },
  { alert: 112, name: "unrecognized_name", code: "transport.tls_handshake" },
  { alert: 116, name: "certificate_required", code: "transport.client_certificate_rejected" },
];

test.each(alerts)("the alert $name ($alert): $code", async ({ alert, code }) => {
  const fatalAlert = Uint8Array.of(21, 3, 3, 0, 2, 2, alert);
  const port = await plainServer((socket) => socket.once("data", () => socket.write(fatalAlert)));
  const error = await failureOf({ port });
  expect(error).toMatchObject({ code });
  expect(error.message).toMatch(/: (ssl\/tls|sslv3|tlsv1|tlsv13) [a-z ]+$/);
});

/** In TLS 1.3 a client has finished its handshake before the server has looked at its certificate. */
const late = [
  {
    code: "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
    becomes: "transport.client_certificate_rejected",
  },
  { code: "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", becomes: "transport.client_certificate_rejected" },
  {
    code: "ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED",
    becomes: "transport.client_certificate_rejected",
  },
  { code: "ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC", becomes: "transport.reset" },
  { code: "ECONNRESET", becomes: "transport.reset" },
  { code: "EPIPE", becomes: "transport.reset" },
  { code: "ETIMEDOUT", becomes: "transport.timeout" },
  { code: "EHOSTUNREACH", becomes: "transport.unreachable" },
];

test.each(late)("an open stream that breaks with $code: $becomes", async ({ code, becomes }) => {
  const socket = new Socket();
  const peer = {
    address: "peer:1",
    certificate: undefined,
    tlsVersion: undefined,
    serverName: undefined,
  };
  const stream = new Collector(new SocketStream(socket, peer));
  socket.destroy(Object.assign(new Error(code), { code }));
  expect(await stream.end()).toMatchObject({ code: becomes });
});

const device = await certificates.issue({ cn: "device" });
const unusable: { name: string; options: Partial<TlsConnectorOptions>; says: RegExp }[] = [
  {
    name: "a key without certificate",
    options: { key: device.key },
    says: /without its certificate/,
  },
  {
    name: "a certificate without key",
    options: { cert: device.cert },
    says: /without its private key/,
  },
  {
    name: "the key of another certificate",
    options: { cert: device.cert, key: root.key },
    says: /belongs to another certificate/,
  },
  {
    name: "a file name as ca",
    options: { ca: "./certs/ca.pem" },
    says: /`ca` .*looks like a file name/,
  },
  {
    name: "something else as ca",
    options: { ca: "secret" },
    says: /`ca` is not the PEM of a certificate$/,
  },
  {
    name: "a file name as key",
    options: { cert: device.cert, key: "C:\\device.key" },
    says: /`key` .*looks like a file name/,
  },
  {
    name: "a damaged certificate",
    options: { cert: device.cert.replace("MII", "AAA"), key: device.key },
    says: /`cert` holds a certificate that cannot be read/,
  },
  {
    name: "a damaged chain",
    options: { cert: device.cert, key: device.key, chain: [root.cert.replace("MII", "AAA")] },
    says: /`chain` holds/,
  },
];

test.each(unusable)(
  "credentials that cannot be used are told when the connector is made: $name",
  ({ options, says }) => {
    const make = (): unknown => tlsConnector({ host: "localhost", port: 8883, ...options });
    expect(make).toThrow(expect.objectContaining({ code: "transport.tls_credentials" }));
    expect(make).toThrow(says);
  },
);

test("no message quotes a key", () => {
  const key = device.key.replaceAll("PRIVATE KEY", "PRIVATE CLEF");
  const secret = key.split("\n")[1] ?? "";
  try {
    tlsConnector({ host: "localhost", port: 8883, cert: device.cert, key });
    expect.unreachable();
  } catch (error) {
    expect(`${(error as Error).stack}`).not.toContain(secret);
  }
});

const plainServers: Server[] = [];
const plainSockets: Socket[] = [];
afterEach(() => {
  for (const socket of plainSockets.splice(0)) socket.destroy();
  for (const server of plainServers.splice(0)) server.close();
});

function plainServer(onSocket: (socket: Socket) => void): Promise<number> {
  return listenOn(createTcpServer(onSocket));
}

function listenOn(server: Server): Promise<number> {
  plainServers.push(server);
  server.on("connection", (socket) => {
    plainSockets.push(socket);
    socket.on("error", () => undefined);
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

async function failureOf(
  options: Partial<TlsConnectorOptions> & { port: number },
): Promise<IotError> {
  const dial = tlsConnector({ host: "127.0.0.1", ca: root.cert, ...options });
  const error: unknown = await dial(noSignal).then(
    () => expect.unreachable("it connected"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(IotError);
  return error as IotError;
}
