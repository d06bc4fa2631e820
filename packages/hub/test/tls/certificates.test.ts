import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  certificateNames,
  memoryCertificates,
  openCertificates,
  type HubCertificates,
} from "../../src/tls/index.ts";

const dayMs = 86_400_000;
const now = Date.UTC(2026, 0, 15);
const names = certificateNames(["hub.example"], "Workbench");

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "hubwire-tls-"));
});
afterEach(() => rm(directory, { recursive: true }));

const serverOf = ({ server }: HubCertificates) => new X509Certificate(server.cert);
const left = (certificate: X509Certificate, wallMs: number): number =>
  (Date.parse(certificate.validTo) - wallMs) / dayMs;

test("the first start makes a CA for ten years and a server certificate for one, both P-256", async () => {
  const made = await openCertificates(directory, names, now);
  const ca = new X509Certificate(made.caPem);
  const server = serverOf(made);
  expect(ca.ca).toBe(true);
  expect(left(ca, now)).toBe(3650);
  expect(left(server, now)).toBe(365);
  expect((Date.parse(server.validTo) - Date.parse(server.validFrom)) / dayMs).toBeLessThan(397);
  expect(Date.parse(server.validFrom)).toBeLessThan(now);
  expect(server.checkIssued(ca) && server.verify(ca.publicKey)).toBe(true);
  for (const { publicKey } of [ca, server]) {
    expect(publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: "prime256v1" });
  }
});

test("the server certificate names loopback, the machine and what was configured", async () => {
  const server = serverOf(await memoryCertificates(names, now));
  const listed = (server.subjectAltName ?? "").split(", ");
  expect(listed.slice(0, 3)).toEqual(["DNS:localhost", "DNS:*.localhost", "IP Address:127.0.0.1"]);
  expect(listed.slice(4)).toEqual(["DNS:workbench", "DNS:hub.example"]);
  for (const name of ["localhost", "workbench", "hub.example"]) {
    expect(server.checkHost(name)).toBe(name);
  }
  for (const address of ["127.0.0.1", "::1"]) expect(server.checkIP(address)).toBeDefined();
  expect(server.checkHost("elsewhere.example")).toBeUndefined();
  expect(server.checkIP("192.0.2.1")).toBeUndefined();
});

test("keys are readable by their owner only, and ca.pem is there to hand out", async () => {
  const { caFile, caPem } = await openCertificates(directory, names, now);
  const modeOf = async (name: string) => (await stat(join(directory, name))).mode & 0o777;
  expect(await modeOf("ca-key.pem")).toBe(0o600);
  expect(await modeOf("server-key.pem")).toBe(0o600);
  expect(caFile).toBe(join(directory, "ca.pem"));
  expect(await readFile(caFile!, "utf8")).toBe(caPem);
  expect(caPem).not.toContain("PRIVATE");
});

test("a later start changes nothing while the certificate is good", async () => {
  const first = await openCertificates(directory, names, now);
  const second = await openCertificates(directory, names, now + 300 * dayMs);
  expect(second.caPem).toBe(first.caPem);
  expect(second.server).toEqual(first.server);
});

test.each([
  { why: "less than 30 days are left", names, wallMs: now + 336 * dayMs },
  { why: "it is past its end", names, wallMs: now + 400 * dayMs },
  { why: "a name was added", names: [...names, "new.example"], wallMs: now },
  { why: "a name was taken away", names: names.slice(0, -1), wallMs: now },
  { why: "one name became another", names: [...names.slice(0, -1), "b.example"], wallMs: now },
  { why: "an address was added", names: [...names, "192.0.2.7"], wallMs: now },
  { why: "the clock went back before it", names, wallMs: now - 30 * dayMs },
])("the certificate is issued again, by the same CA, when $why", async (later) => {
  const first = await openCertificates(directory, names, now);
  const second = await openCertificates(directory, later.names, later.wallMs);
  expect(second.caPem).toBe(first.caPem);
  expect(second.server.cert).not.toBe(first.server.cert);
  const server = serverOf(second);
  expect(left(server, later.wallMs)).toBeGreaterThan(300);
  expect(await openCertificates(directory, later.names, later.wallMs)).toMatchObject({
    server: second.server,
  });
});

test("a running hub renews in time, and says why", async () => {
  const certificates = await openCertificates(directory, names, now);
  const before = certificates.server;
  expect(await certificates.renew(now + 334 * dayMs)).toBeUndefined();
  expect(certificates.server).toBe(before);
  expect(await certificates.renew(now + 336 * dayMs)).toContain("it ends on");
  expect(certificates.server.cert).not.toBe(before.cert);
  expect(await readFile(join(directory, "server.pem"), "utf8")).toBe(certificates.server.cert);
});

test("a server certificate never outlives its CA, and is not made anew at every look", async () => {
  await openCertificates(directory, names, now);
  const late = now + 3640 * dayMs;
  const certificates = await openCertificates(directory, names, late);
  const ca = new X509Certificate(certificates.caPem);
  expect(serverOf(certificates).validTo).toBe(ca.validTo);
  expect(await certificates.renew(late + dayMs)).toBeUndefined();
});

test.each([
  { file: "server.pem", text: "" },
  {
    file: "server.pem",
    text: "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n",
  },
  { file: "server-key.pem", text: "nonsense" },
])("a damaged $file is replaced", async ({ file, text }) => {
  await openCertificates(directory, names, now);
  await writeFile(join(directory, file), text);
  expect(serverOf(await openCertificates(directory, names, now)).checkHost("localhost")).toBe(
    "localhost",
  );
});

test("a CA without its key is refused by name, because a new one would cut off its clients", async () => {
  await openCertificates(directory, names, now);
  await rm(join(directory, "ca-key.pem"));
  await expect(openCertificates(directory, names, now)).rejects.toMatchObject({
    code: "hub.data_corrupt",
    message: expect.stringContaining("ca-key.pem") as string,
  });
});

test("a first start that was interrupted behind the CA's key starts over", async () => {
  await openCertificates(directory, names, now);
  await rm(join(directory, "ca.pem"));
  const { server, caPem } = await openCertificates(directory, names, now);
  expect(new X509Certificate(server.cert).checkIssued(new X509Certificate(caPem))).toBe(true);
});

test("two hubs in one process share a CA in memory and have keys of their own", async () => {
  const [one, two] = [await memoryCertificates(names, now), await memoryCertificates(names, now)];
  expect(one.caPem).toBe(two.caPem);
  expect(one.server.key).not.toBe(two.server.key);
  expect(one.caFile).toBeUndefined();
  const nextYear = await memoryCertificates(names, now + 370 * dayMs);
  expect(nextYear.caPem).not.toBe(one.caPem);
});

test("a TLS client that trusts ca.pem connects by name and by address, and no other does", async () => {
  const wallMs = Date.now();
  const { server, caPem } = await memoryCertificates(names, wallMs);
  const other = await openCertificates(directory, names, wallMs);
  const listener = createServer({ ...server }, (socket) => socket.end());
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  const attempt = (ca: string, servername: string, host = "127.0.0.1"): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ host, port, ca, ...(servername && { servername }) }, () => {
        resolve("connected");
        socket.destroy();
      });
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  expect(await attempt(caPem, "localhost")).toBe("connected");
  expect(await attempt(caPem, "hub.example")).toBe("connected");
  expect(await attempt(caPem, "")).toBe("connected");
  expect(await attempt(caPem, "elsewhere.example")).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
  expect(await attempt(other.caPem, "localhost")).toMatch(/UNABLE_TO|SELF_SIGNED|CERT_/);
  await new Promise((resolve) => listener.close(resolve));
});
