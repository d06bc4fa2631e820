import { buildSasToken, sasResource } from "@hubwire/protocol";
import type { PeerCertificate } from "@hubwire/transport";
import { describe, expect, test } from "vitest";
import type { Authentication, IdentityRef } from "../../src/domain/services.ts";
import { createWorld, host, signWith } from "./world.ts";
import type { World } from "./world.ts";

const dev1: IdentityRef = { deviceId: "dev1", moduleId: undefined };
const key = (fill: number): string => Buffer.alloc(32, fill).toString("base64");
const [a, b, c, d] = [key(1), key(2), key(3), key(4)];
const keys = (primaryKey: string, secondaryKey: string): Authentication => ({
  type: "sas",
  primaryKey,
  secondaryKey,
});
const thumbprints = (primary: string | undefined, secondary?: string): Authentication => ({
  type: "selfSigned",
  primaryThumbprint: primary,
  secondaryThumbprint: secondary,
});
const byAuthority: Authentication = { type: "certificateAuthority" };
const sha1 = "A".repeat(40);
const sha256 = "B".repeat(64);
const other = "C".repeat(40);

/** Nothing looks at its bytes while the identity is registered by thumbprint. */
const certificate = (): PeerCertificate => ({
  raw: new Uint8Array(),
  chain: [],
  commonName: "anything",
  sha1Thumbprint: sha1,
  sha256Thumbprint: sha256,
  validFromMs: 0,
  validToMs: Number.MAX_SAFE_INTEGER,
});

async function tokenOf(world: World, signingKey: string, policyName?: string): Promise<string> {
  const expiresAtS = Math.floor(world.clock.wallMs() / 1000) + 3_600;
  const resource = sasResource(host, { deviceId: "dev1", moduleId: undefined });
  const name = policyName === undefined ? {} : { policyName };
  return buildSasToken({ resource, expiresAtS, ...name }, signWith(signingKey));
}

/** Connects as dev1 and changes what it may connect with. */
async function change(
  by: { key: string } | { policy: string } | "certificate",
  before: Authentication,
  after: Authentication,
) {
  const world = await createWorld();
  const identity = await world.createDevice("dev1", { authentication: before });
  const credential = async () => {
    if (by === "certificate") return { certificate: certificate(), password: undefined };
    if ("key" in by) return { password: await tokenOf(world, by.key) };
    return { password: await tokenOf(world, world.policy(by.policy).primaryKey, by.policy) };
  };
  const device = await world.online(await credential());
  await world.updateDevice(identity, { authentication: after });
  await world.settle();
  return { world, device };
}

describe("a connection lasts as long as the credential that let it in", () => {
  test.each([
    ["the primary key, and the secondary one is replaced", a, keys(a, b), keys(a, c)],
    ["the secondary key, and the primary one is replaced", b, keys(a, b), keys(c, b)],
    ["the primary key, and it becomes the secondary one", a, keys(a, b), keys(c, a)],
    ["a key that is both, and one of the two is replaced", a, keys(a, a), keys(a, c)],
  ])(
    "a credential in use that is kept, %s: the connection goes on",
    async (_, used, before, after) => {
      const { world } = await change({ key: used }, before, after);
      expect(world.connections.find(dev1)).toBeDefined();
    },
  );

  test.each([
    ["the primary key, and it is replaced", a, keys(a, b), keys(c, b)],
    ["the secondary key, and it is replaced", b, keys(a, b), keys(a, c)],
    ["a key, and both are replaced", a, keys(a, b), keys(c, d)],
    ["a key, and certificates are wanted from now on", a, keys(a, b), thumbprints(sha1)],
  ])(
    "a credential in use that is taken away, %s: the connection is closed at once",
    async (_, used, before, after) => {
      const { world, device } = await change({ key: used }, before, after);
      device.expectClosed();
      expect(world.lastEnd()).toBe("connection.identity_revoked");
    },
  );

  test("by a policy of the hub, and the device's keys are replaced: it goes on", async () => {
    const { world } = await change({ policy: "device" }, keys(a, b), keys(c, d));
    expect(world.connections.find(dev1)).toBeDefined();
  });

  test("by a policy of the hub, and certificates are wanted from now on: it is closed", async () => {
    const { device } = await change({ policy: "device" }, keys(a, b), thumbprints(sha1));
    device.expectClosed();
  });

  test.each([
    ["the other one is replaced", thumbprints(sha1, other), thumbprints(sha1, "D".repeat(40))],
    ["SHA-1 gives way to SHA-256 of the same certificate", thumbprints(sha1), thumbprints(sha256)],
    ["the other place keeps it", thumbprints(sha1, other), thumbprints(other, sha256)],
  ])("by a thumbprint, and %s: it goes on", async (_, before, after) => {
    const { world } = await change("certificate", before, after);
    expect(world.connections.find(dev1)).toBeDefined();
  });

  test.each([
    ["it is replaced", thumbprints(sha1, other), thumbprints("D".repeat(40), other)],
    ["keys are wanted from now on", thumbprints(sha1), keys(a, b)],
    ["an authority is to vouch from now on", thumbprints(sha1), byAuthority],
  ])("by a thumbprint, and %s: it is closed at once", async (_, before, after) => {
    const { device } = await change("certificate", before, after);
    device.expectClosed();
  });
});

test("re-keying a device leaves its modules alone", async () => {
  const world = await createWorld();
  const identity = await world.createDevice("dev1", { authentication: keys(a, b) });
  await world.createDevice("dev1", { moduleId: "mod1" });
  await world.online({ moduleId: "mod1" });
  await world.updateDevice(identity, { authentication: keys(c, d) });
  await world.settle();
  expect(world.connections.find({ deviceId: "dev1", moduleId: "mod1" })).toBeDefined();
});

describe("between reading the registry and owning the connection", () => {
  const link = (credentials: readonly string[], generationId: string) => ({
    ref: dev1,
    generationId,
    connectionId: 1,
    credentials,
    lastActivityAtMs: 0,
    isSubscribed: () => false,
    sendMethod() {},
    sendTwinResponse() {},
    sendDesired() {},
    close() {},
  });

  /** What becomes of a CONNECT with key `a` while `meanwhile` happens. */
  async function race(meanwhile: (world: World) => Promise<void>): Promise<unknown> {
    const world = await createWorld();
    const identity = await world.createDevice("dev1", { authentication: keys(a, b) });
    const attempt = world.connections.beginAttempt();
    const { credentials } = await world.during(
      world.authenticator.authenticateDevice({
        clientId: "dev1",
        username: `${host}/dev1/?api-version=2021-04-12`,
        password: await tokenOf(world, a),
        cleanSession: true,
        keepAliveS: 60,
        will: undefined,
        certificate: undefined,
        address: "203.0.113.7:4711",
      }),
    );
    await meanwhile(world);
    try {
      const opening = world.connections.open(link(credentials, identity.generationId), {
        cleanSession: true,
        attempt,
      });
      return (await world.during(opening)) && "let in";
    } catch (error) {
      return (error as { code: string }).code;
    }
  }

  const rekey = async (world: World, to: Authentication, status?: "disabled"): Promise<void> => {
    const identity = await world.during(world.identities.find(dev1));
    await world.updateDevice(identity!, { authentication: to, ...(status && { status }) });
  };

  test.each<[string, string, (world: World) => Promise<void>]>([
    ["nothing", "let in", async () => {}],
    ["the other key is replaced", "let in", (world) => rekey(world, keys(a, c))],
    ["its key is replaced", "connection.identity_revoked", (world) => rekey(world, keys(c, b))],
    [
      "the device is disabled, and then its other key replaced",
      "connection.identity_revoked",
      async (world) => {
        await rekey(world, keys(a, b), "disabled");
        await rekey(world, keys(a, c));
      },
    ],
    [
      "the other key is replaced, and then its own",
      "connection.identity_revoked",
      async (world) => {
        await rekey(world, keys(a, c));
        await rekey(world, keys(d, c));
      },
    ],
  ])("%s happens: %s", async (_, outcome, meanwhile) => {
    expect(await race(meanwhile)).toBe(outcome);
  });
});
