import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { connect } from "@hubwire/device";
import type { ConnectOptions, CredentialScope, IotError } from "@hubwire/device";
import {
  certificateApiVersion,
  keepRenewed,
  makeCertificateRequest,
  renewingCertificate,
} from "@hubwire/device/certificates";
import type { RenewedCertificate, RenewingClient } from "@hubwire/device/certificates";
import { issueRequested, testCertificates } from "@hubwire/testkit";
import { VirtualClock } from "@hubwire/transport";
import { afterAll, expect, test } from "vitest";
import { pemOf } from "../../src/certificates/pem.ts";
import { hostName, identity } from "../support/fake-hub.ts";
import { Outcome, World } from "../support/world.ts";
import { Issuer } from "./issuer.ts";
import { untilTrue } from "./real.ts";

const certificates = await testCertificates();
const { root } = certificates;
const dayMs = 86_400_000;
const startMs = Date.UTC(2026, 0, 1);
const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-certificate-"));
  folders.push(folder);
  return join(folder, "identity");
}

/** A certificate as a renewal gives it, good for 30 days from `atMs`. */
async function issued(atMs = startMs): Promise<RenewedCertificate> {
  const { csr, key } = await makeCertificateRequest("dev1");
  const dates = { notBefore: new Date(atMs), notAfter: new Date(atMs + 30 * dayMs) };
  const leaf = await issueRequested(Buffer.from(csr, "base64"), root, dates);
  return { cert: pemOf("CERTIFICATE", leaf), key, chain: root.cert };
}

const initial = await issued();
const scope: CredentialScope = { hostName, deviceId: "dev1" };
const request = () => ({
  wallMs: startMs + dayMs,
  fresh: false,
  signal: new AbortController().signal,
});
const refused = Object.assign(new Error("no"), {
  name: "IotError",
  code: "device.refused_not_authorized",
  remedy: "",
  retryable: false,
});

test("until the first renewal it is the initial one; then the new one, also after a restart", async () => {
  const directory = newFolder();
  const certificate = renewingCertificate({ directory, initial });
  expect((await certificate.next(scope, request())).tls?.cert).toBe(initial.cert);
  const renewed = await issued();
  await certificate.keep(renewed);
  const next = await certificate.next(scope, request());
  expect(next.tls).toEqual(renewed);
  expect(next.expiresAtMs).toBe(startMs + 30 * dayMs);
  expect(await certificate.next(scope, request())).toBe(next);
  const again = renewingCertificate({ directory });
  expect((await again.next(scope, request())).tls).toEqual(renewed);
});

test("what is on disk only its owner can read, and nothing else is left there", async () => {
  const directory = newFolder();
  const certificate = renewingCertificate({ directory, initial });
  await certificate.keep(await issued());
  expect(readdirSync(directory)).toEqual(["certificate.pem"]);
  certificate.outcome(await certificate.next(scope, request()), undefined);
  await certificate.keep(await issued());
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(readdirSync(directory)).toEqual(["certificate.pem", "certificate.previous.pem"]);
  for (const name of readdirSync(directory))
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
});

test("the hub refuses the new one: the old one is taken again, and the new one later once more", async () => {
  const directory = newFolder();
  const certificate = renewingCertificate({ directory, initial });
  const renewed = await issued();
  await certificate.keep(renewed);
  const first = await certificate.next(scope, request());
  certificate.outcome(first, refused);
  expect(certificate.standby).toBe(true);
  const second = await certificate.next(scope, request());
  expect(second.tls?.cert).toBe(initial.cert);
  certificate.outcome(second, refused);
  expect(certificate.standby).toBe(false);
  const third = await certificate.next(scope, request());
  expect(third.tls?.cert).toBe(renewed.cert);
  certificate.outcome(third, undefined);
  certificate.outcome(third, refused);
  expect((await certificate.next(scope, request())).tls?.cert).toBe(renewed.cert);
});

test("trouble of the network says nothing against a certificate", async () => {
  const certificate = renewingCertificate({ directory: newFolder(), initial });
  const renewed = await issued();
  await certificate.keep(renewed);
  const first = await certificate.next(scope, request());
  certificate.outcome(
    first,
    Object.assign(new Error("x"), { name: "IotError", code: "transport.dns" }),
  );
  expect((await certificate.next(scope, request())).tls?.cert).toBe(renewed.cert);
});

test("the last one the hub took is on disk until it has taken a newer one", async () => {
  const directory = newFolder();
  const [one, two, three] = [await issued(), await issued(), await issued()];
  const certificate = renewingCertificate({ directory });
  await certificate.keep(one);
  certificate.outcome(await certificate.next(scope, request()), undefined);
  await certificate.keep(two);
  await certificate.keep(three);
  const untaken = await certificate.next(scope, request());
  certificate.outcome(untaken, refused);
  expect((await certificate.next(scope, request())).tls?.cert).toBe(one.cert);
  // `two` was never taken by the hub: what to go back to is `one`, also after a restart.
  const again = renewingCertificate({ directory });
  const newest = await again.next(scope, request());
  expect(newest.tls?.cert).toBe(three.cert);
  again.outcome(newest, refused);
  expect((await again.next(scope, request())).tls?.cert).toBe(one.cert);
  again.outcome(newest, undefined);
  await expect.poll(() => readdirSync(directory)).toEqual(["certificate.pem"]);
});

test.each([
  ["cut short", (text: string) => text.slice(0, 400)],
  ["empty", () => ""],
  [
    "of another key",
    (text: string) => text.replace(/^[^]*?END PRIVATE KEY-----\n/, certificates.server.key),
  ],
])("a file that is %s is passed over for the one before, and told", async (_name, spoil) => {
  const directory = newFolder();
  const certificate = renewingCertificate({ directory, initial });
  await certificate.keep(await issued());
  const path = join(directory, "certificate.pem");
  writeFileSync(path, spoil(readFileSync(path, "utf8")));
  const told: IotError[] = [];
  const again = renewingCertificate({ directory, initial });
  again.attach({ clock: new VirtualClock({ wallMs: startMs }), notice: (news) => told.push(news) });
  expect((await again.next(scope, request())).tls?.cert).toBe(initial.cert);
  expect(told.map(({ code }) => code)).toEqual(["certificate.store"]);
  await expect(renewingCertificate({ directory }).next(scope, request())).rejects.toMatchObject({
    code: "certificate.store",
  });
});

test("no certificate at all is an error by name", async () => {
  const nothing = renewingCertificate({ directory: newFolder() });
  await expect(nothing.next(scope, request())).rejects.toMatchObject({ code: "certificate.store" });
});

test("a directory that cannot be written is an error, and the certificate in use stays", async () => {
  const folder = newFolder();
  writeFileSync(folder, "a file");
  const certificate = renewingCertificate({ directory: folder, initial });
  await expect(certificate.keep(await issued())).rejects.toMatchObject({
    code: "certificate.store",
  });
});

test.each([
  ["another key", { key: certificates.server.key }],
  ["no certificate", { cert: "PEM" }],
])("a pair with %s is not kept", async (_name, wrong) => {
  const directory = newFolder();
  const certificate = renewingCertificate({ directory, initial });
  await expect(certificate.keep({ ...initial, ...wrong })).rejects.toMatchObject({
    code: "argument.invalid",
  });
  expect((await certificate.next(scope, request())).tls?.cert).toBe(initial.cert);
});

test("a key is in no inspection", async () => {
  const certificate = renewingCertificate({ directory: newFolder(), initial });
  await certificate.keep(await issued());
  const credential = await certificate.next(scope, request());
  const shown = inspect([certificate, credential], { depth: 9, showHidden: true });
  expect(shown + JSON.stringify([certificate, credential])).not.toContain("PRIVATE KEY");
});

test("a client renews, keeps its connection, and presents the new certificate on the next", async () => {
  const issuer = new Issuer(root);
  const world = new World(issuer.script);
  const certificate = renewingCertificate({ directory: newFolder(), initial });
  const presented: (string | undefined)[] = [];
  const next = certificate.next.bind(certificate);
  certificate.next = async (...given) => {
    const credential = await next(...given);
    presented.push(credential.tls?.cert);
    return credential;
  };
  const credentials = { hostName, ...identity, provider: certificate };
  const opening = new Outcome(
    connect({
      ...world.options({ apiVersion: certificateApiVersion }),
      credentials,
    } as ConnectOptions),
  );
  await untilTrue(world, () => opening.isSettled);
  const client = opening.value;
  let renewedTo: number | undefined;
  world.clock.jumpWall(21 * dayMs);
  const stop = keepRenewed(client, certificate, {
    clock: world.clock,
    onRenewed: ({ validToMs }) => (renewedTo = validToMs),
    reportValidity: true,
  });
  await untilTrue(world, () => issuer.asked.length === 1);
  await world.clock.advance(3_000);
  await untilTrue(world, () => renewedTo !== undefined && world.hub.reports.length === 1);
  expect(world.hub.connections).toHaveLength(1);
  const { cert } = (await next(scope, request())).tls ?? {};
  expect(world.hub.reports).toEqual([
    {
      certificate: {
        validFrom: expect.any(String),
        validUntil: new Date(renewedTo ?? 0).toISOString(),
      },
    },
  ]);
  expect(presented).toEqual([initial.cert]);
  world.hub.cut();
  for (let n = 0; n < 60 && presented.length < 2; n++) {
    await world.clock.advance(500);
    await untilTrue(world, () => true);
  }
  expect(presented).toEqual([initial.cert, cert]);
  stop();
  await world.settle(client.close());
});

/** A client that gives certificates as told, on virtual time. */
function scheduled(answers: (number: number) => Promise<RenewedCertificate>) {
  const clock = new VirtualClock({ wallMs: startMs });
  const asked: { atDays: number; replace: string | undefined }[] = [];
  const client: RenewingClient = {
    renewCertificate: (options) => {
      asked.push({ atDays: (clock.wallMs() - startMs) / dayMs, replace: options?.replace });
      return answers(asked.length);
    },
    reportProperties: () => Promise.resolve({}),
  };
  return { clock, asked, client };
}

test("a certificate is renewed after two thirds of its life, and so is the next", async () => {
  const second = await issued(startMs + 20 * dayMs);
  const third = await issued(startMs + 40 * dayMs);
  const { clock, asked, client } = scheduled((number) =>
    Promise.resolve(number === 1 ? second : third),
  );
  const certificate = renewingCertificate({ directory: newFolder(), initial });
  await certificate.load();
  let done = 0;
  const stop = keepRenewed(client, certificate, { clock, onRenewed: () => (done += 1) });
  for (let quarters = 0; quarters < 45 * 4; quarters++) {
    await clock.advance(dayMs / 4);
    await untilTrue({ clock }, () => done === asked.length);
  }
  stop();
  expect(asked.map(({ atDays }) => Math.round(atDays * 4) / 4)).toEqual([20, 40]);
});

test("failures are told and tried again, further and further apart; an open request of old is put aside", async () => {
  const failures = Array.from({ length: 5 }, (_, n) =>
    Object.assign(new Error(`${n}`), {
      name: "IotError",
      code: n === 2 ? "certificate.active" : "certificate.unavailable",
    }),
  );
  const renewed = await issued(startMs + 25 * dayMs);
  const { clock, asked, client } = scheduled((number) => {
    const failure = failures[number - 1];
    return failure === undefined ? Promise.resolve(renewed) : Promise.reject(failure);
  });
  clock.jumpWall(25 * dayMs);
  const told: unknown[] = [];
  const certificate = renewingCertificate({ directory: newFolder(), initial });
  const random = (): number => 0;
  const onError = (error: unknown): number => told.push(error);
  await certificate.load();
  const stop = keepRenewed(client, certificate, { clock, random, onError });
  await clock.advance(30 * 60_000);
  stop();
  expect(told).toEqual(failures);
  const minutes = asked.map(({ atDays }) => Math.round((atDays - 25) * 24 * 60 * 2) / 2);
  expect(minutes).toEqual([0, 0.5, 1.5, 3.5, 7.5, 15.5]);
  expect(asked.map(({ replace }) => replace)).toEqual([
    undefined,
    undefined,
    undefined,
    "*",
    "*",
    "*",
  ]);
});

test("what was ended asks no more", async () => {
  const { clock, asked, client } = scheduled(() => new Promise(() => undefined));
  const certificate = renewingCertificate({ directory: newFolder(), initial });
  await certificate.load();
  const stop = keepRenewed(client, certificate, { clock });
  await clock.settle();
  stop();
  clock.jumpWall(25 * dayMs);
  await clock.advance(dayMs);
  expect(asked).toEqual([]);
});
