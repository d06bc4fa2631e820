import { testCertificates } from "@hubwire/testkit";
import type { TestCertificate } from "@hubwire/testkit";
import { listenTls, systemClock, tlsConnector } from "@hubwire/transport";
import mqttPacket from "mqtt-packet";
import type { Packet } from "mqtt-packet";
import { afterAll, expect, test } from "vitest";
import { createHubCore } from "../../src/core.ts";
import type { Authentication } from "../../src/domain/services.ts";
import { createMemoryStores } from "../../src/stores/memory/index.ts";
import type { LogLine } from "./world.ts";

// Real sockets and real certificates: what TLS tells of a client's certificate is what authentication is given.

const certificates = await testCertificates();
const middle = await certificates.ca({ cn: "Middle", issuer: certificates.root });
const lines: LogLine[] = [];
const log =
  (level: string) =>
  (facts: object, message: string): void =>
    void lines.push({ level, message, ...facts });
const clock = systemClock();
const core = await createHubCore({
  stores: createMemoryStores({ clock }),
  clock,
  logger: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
  hostNames: ["localhost"],
  auth: { deviceCas: [certificates.root.cert] },
});
const listener = await listenTls({
  host: "127.0.0.1",
  port: 0,
  key: certificates.server.key,
  cert: certificates.server.fullChain,
  onStream: (stream) => core.mqtt.handleStream(stream),
});
afterAll(async () => {
  await core.stop();
  await listener.close();
});

async function register(deviceId: string, authentication: Authentication): Promise<void> {
  await core.identities.create({
    deviceId,
    moduleId: undefined,
    status: "enabled",
    statusReason: undefined,
    authentication,
    capabilities: { iotEdge: false },
    managedBy: undefined,
  });
}

/** The first packet that comes back; undefined when the hub just closes. */
async function connect(
  clientId: string,
  certificate: TestCertificate | undefined,
  username?: string,
): Promise<Packet | undefined> {
  const open = tlsConnector({
    host: "127.0.0.1",
    port: listener.port,
    servername: "localhost",
    ca: certificates.root.cert,
    ...(certificate !== undefined && {
      cert: certificate.cert,
      key: certificate.key,
      ...(certificate.chain !== "" && { chain: certificate.chain }),
    }),
  });
  const stream = await open(AbortSignal.timeout(10_000));
  const parser = mqttPacket.parser({ protocolVersion: 4 });
  const answer = new Promise<Packet | undefined>((resolve) => {
    parser.on("packet", resolve);
    stream.start({
      onBytes: (bytes) => void parser.parse(Buffer.from(bytes)),
      onDrain: () => {},
      onClosed: () => resolve(undefined),
    });
  });
  const packet = {
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clientId,
    clean: true,
    keepalive: 60,
  };
  const whole = { ...packet, ...(username !== undefined && { username }) } as Packet;
  stream.write(mqttPacket.generate(whole));
  const first = await answer;
  stream.destroy();
  return first;
}

const username = (id: string): string => `localhost/${id}/?api-version=2021-04-12`;

test("a device with a registered thumbprint comes in with its self-signed certificate", async () => {
  const mine = await certificates.selfSigned({ cn: "whatever" });
  const primaryThumbprint = mine.sha256Thumbprint.toLowerCase();
  await register("thumb", {
    type: "selfSigned",
    primaryThumbprint,
    secondaryThumbprint: undefined,
  });
  expect(await connect("thumb", mine, username("thumb"))).toMatchObject({ returnCode: 0 });
  const other = await certificates.selfSigned({ cn: "thumb" });
  expect(await connect("thumb", other, username("thumb"))).toMatchObject({ returnCode: 5 });
  expect(lines.findLast(({ event }) => event === "connect_refused")).toMatchObject({
    code: "auth.thumbprint",
  });
});

test("a device whose certificate leads over an intermediate to a device CA comes in", async () => {
  await register("signed", { type: "certificateAuthority" });
  const leaf = await certificates.issue({ cn: "signed", issuer: middle });
  expect(await connect("signed", leaf, username("signed"))).toMatchObject({ returnCode: 0 });
  const withoutChain = { ...leaf, chain: "" };
  expect(await connect("signed", withoutChain, username("signed"))).toMatchObject({
    returnCode: 5,
  });
  expect(lines.findLast(({ event }) => event === "connect_refused")).toMatchObject({
    code: "auth.certificate_untrusted",
  });
});

test("the guide's X.509 snippet, without user name, is taken with a warning", async () => {
  await register("guide", { type: "certificateAuthority" });
  const leaf = await certificates.issue({ cn: "guide" });
  expect(await connect("guide", leaf)).toMatchObject({ returnCode: 0 });
  expect(lines.findLast(({ event }) => event === "connect_tolerated")).toMatchObject({
    level: "warn",
    clientId: "guide",
    message: expect.stringContaining("Azure refuses this") as string,
  });
});

test("a certificate for another name, one that has ended and none at all are told apart", async () => {
  await register("strict", { type: "certificateAuthority" });
  const dayMs = 86_400_000;
  const ended = {
    notBefore: new Date(Date.now() - 2 * dayMs),
    notAfter: new Date(Date.now() - dayMs),
  };
  const attempts: [TestCertificate | undefined, string][] = [
    [await certificates.issue({ cn: "Strict" }), "auth.certificate_cn"],
    [await certificates.issue({ cn: "strict", ...ended }), "auth.certificate_expired"],
    [undefined, "auth.certificate_missing"],
  ];
  for (const [certificate, code] of attempts) {
    expect(await connect("strict", certificate, username("strict"))).toMatchObject({
      returnCode: 5,
    });
    expect(lines.findLast(({ event }) => event === "connect_refused")).toMatchObject({ code });
  }
});
