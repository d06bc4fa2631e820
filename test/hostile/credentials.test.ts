import { afterAll, beforeAll, expect, test } from "vitest";
import { catalog, type ErrorCode } from "@hubwire/protocol";
import { testCertificates, type TestCertificate, type TestCertificates } from "@hubwire/testkit";
import { c2dFilter, connectPacket, eventsTopic, puback, subscribe } from "../support/packets.ts";
import type { ConnectFields } from "../support/packets.ts";
import { sasToken } from "../support/token.ts";
import type { WireClient } from "../support/wire-client.ts";
import { hostileWorld, type HostileWorld } from "./world.ts";

const hourS = 3_600;
const nowS = Math.floor(Date.now() / 1000);
const otherKey = Buffer.alloc(32, 7).toString("base64");

let world: HostileWorld;
let certificates: TestCertificates;
let deviceCa: TestCertificate;
beforeAll(async () => {
  certificates = await testCertificates();
  deviceCa = await certificates.ca({ cn: "Device CA" });
  world = await hostileWorld({ deviceCas: [deviceCa.cert] });
  world.secrets.add(otherKey);
  const { hub } = world;
  const authority = { authentication: { type: "certificateAuthority" as const } };
  await hub.createDevice({ deviceId: "by-ca", ...authority });
  await hub.createDevice({ deviceId: "off", status: "disabled", statusReason: "stolen" });
  await hub.createDevice({ deviceId: "other" });
});
afterAll(() => world.end());

/** The password goes to the log's list of forbidden words, whole and by its signature. */
function attempt(client: WireClient, fields: ConnectFields): void {
  const signature = /sig=([^&]*)/.exec(fields.password ?? "")?.[1];
  if (signature !== undefined) {
    world.secrets.add(signature).add(decodeURIComponent(signature));
  }
  client.send(connectPacket(fields));
}

async function expectRefusal(
  client: WireClient,
  expected: { code: ErrorCode; returnCode: number; reason: RegExp; clientId: string },
): Promise<void> {
  const { code, returnCode, reason, clientId } = expected;
  expect(await client.rest()).toMatchObject([
    { cmd: "connack", returnCode, sessionPresent: false },
  ]);
  expect(await client.closed()).toBe("end");
  expect(world.logger.about(client.address)).toEqual([
    {
      level: "warn",
      message: "A CONNECT was refused",
      event: "connect_refused",
      code,
      reason: expect.stringMatching(reason) as string,
      remedy: catalog[code].remedy,
      clientId,
      address: client.address,
      tlsVersion: "TLSv1.3",
    },
  ]);
  await world.witness.beat(1);
}

type Change = Partial<ConnectFields> | (() => Promise<Partial<ConnectFields>>);
const password =
  (resource: string, options: Parameters<typeof sasToken>[2] = {}, key?: string) =>
  async (): Promise<Partial<ConnectFields>> => ({
    password: await sasToken(resource, key ?? world.witnessKey.primaryKey, options),
  });
const own = "localhost/devices/witness";

// Every stranger here calls itself by the id of the well-behaved device that is connected all the time: a refused CONNECT takes nothing over.
const strangers: [
  name: string,
  change: Change,
  code: ErrorCode,
  returnCode: number,
  reason: RegExp,
][] = [
  [
    "an expired token",
    password(own, { expiresAtS: nowS - hourS }),
    "auth.token_expired",
    5,
    /expired at \S+, 36\d\d s before .* \(tolerance 300 s\)/,
  ],
  [
    "a token for another device",
    password("localhost/devices/other"),
    "auth.token_scope",
    5,
    /is for "localhost\/devices\/other"/,
  ],
  [
    "a token for another hub",
    password("elsewhere.example/devices/witness"),
    "auth.token_scope",
    5,
    /elsewhere\.example/,
  ],
  [
    "its own key for all devices",
    password("localhost/devices"),
    "auth.token_scope",
    5,
    /"localhost\/devices"/,
  ],
  ["its own key for the whole hub", password("localhost"), "auth.token_scope", 5, /"localhost"/],
  [
    "a token for a module of it",
    password(`${own}/modules/m`),
    "auth.token_scope",
    5,
    /modules\/m"/,
  ],
  [
    "a token signed with another key",
    password(own, {}, otherKey),
    "auth.token_signature",
    5,
    /neither the primary nor the secondary key of witness/,
  ],
  [
    "a policy that does not exist",
    password(own, { policyName: "nobody" }),
    "auth.policy_unknown",
    5,
    /no policy named "nobody"/,
  ],
  [
    "a policy that may not connect devices",
    password(own, { policyName: "service" }),
    "auth.policy_permission",
    5,
    /service has .* needs DeviceConnect/,
  ],
  [
    "the key itself as password",
    async () => ({ password: world.witnessKey.primaryKey }),
    "auth.token_malformed",
    5,
    /./,
  ],
  [
    "half a token",
    { password: "SharedAccessSignature sr=localhost%2Fdevices%2Fwitness" },
    "auth.token_malformed",
    5,
    /./,
  ],
  ["no password", { password: undefined }, "auth.missing_password", 5, /witness sent no token/],
  [
    "no user name",
    { username: undefined, password: undefined },
    "auth.username_missing",
    5,
    /no user name/,
  ],
  [
    "a user name that names no device",
    { username: "localhost" },
    "auth.username_malformed",
    5,
    /./,
  ],
  [
    "a user name for another hub",
    { username: "elsewhere.example/witness/?api-version=2021-04-12" },
    "auth.host_mismatch",
    5,
    /for elsewhere\.example/,
  ],
  [
    "another device's id as client id",
    { clientId: "other" },
    "auth.client_id_mismatch",
    5,
    /client id is "other", the user name names "witness"/,
  ],
  ["an id in other letters", { clientId: "Witness" }, "auth.client_id_mismatch", 5, /"Witness"/],
  ["an empty client id", { clientId: "" }, "auth.client_id_empty", 2, /empty/],
  [
    "a device that is not registered",
    { clientId: "nobody", username: "localhost/nobody/?api-version=2021-04-12" },
    "auth.device_unknown",
    5,
    /"nobody"/,
  ],
  [
    "a device that is disabled",
    { clientId: "off", username: "localhost/off/?api-version=2021-04-12" },
    "auth.device_disabled",
    5,
    /off is disabled: "stolen"/,
  ],
  [
    "a token where a certificate is registered",
    { clientId: "by-ca", username: "localhost/by-ca/?api-version=2021-04-12" },
    "auth.wrong_type",
    5,
    /certificateAuthority and came with a token/,
  ],
];

test.each(strangers)(
  "a stranger with %s is refused",
  async (_, change, code, returnCode, reason) => {
    const changed = typeof change === "function" ? await change() : change;
    const fields = { ...(await world.connectFields(world.witnessKey)), ...changed };
    const client = await world.open();
    attempt(client, fields);
    const clientId = fields.clientId;
    await expectRefusal(client, { code, returnCode, reason, clientId });
  },
);

test("a refused CONNECT touches neither the session nor the queue, and publishes no will", async () => {
  const key = await world.keyed("asleep");
  const first = await world.online(key, { clean: false });
  first.send(subscribe(1, [c2dFilter("asleep"), 1]));
  expect(await first.next()).toMatchObject({ cmd: "suback" });
  await first.disconnect();
  await world.hub.sendToDevice("asleep", "still there");

  const stranger = await world.open();
  const token = await sasToken("localhost/devices/asleep", otherKey);
  const will = { topic: eventsTopic("asleep"), payload: "never", qos: 1 as const };
  attempt(stranger, {
    ...(await world.connectFields(key)),
    password: token,
    clean: true,
    will,
  });
  expect(await stranger.rest()).toMatchObject([{ cmd: "connack", returnCode: 5 }]);

  const second = await world.open();
  second.send(connectPacket({ ...(await world.connectFields(key)), clean: false }));
  expect(await second.next()).toMatchObject({ cmd: "connack", sessionPresent: true });
  const message = await second.next();
  expect(message).toMatchObject({ cmd: "publish", qos: 1, dup: false });
  expect(String(message["payload"])).toBe("still there");
  second.send(puback(message["messageId"] as number));
  await second.disconnect();
  expect(await world.hub.c2d.count("asleep")).toBe(0);
  expect(await world.bodiesOf("asleep")).toEqual([]);
});

type Presented = { deviceId: string; certificate: TestCertificate | undefined };
const dayMs = 86_400_000;
const past = {
  notBefore: new Date(Date.now() - 3 * dayMs),
  notAfter: new Date(Date.now() - dayMs),
};
const future = {
  notBefore: new Date(Date.now() + dayMs),
  notAfter: new Date(Date.now() + 3 * dayMs),
};

/** A device registered with the thumbprint of this certificate, which it then presents. */
async function registered(deviceId: string, certificate: TestCertificate): Promise<Presented> {
  await world.hub.createDevice({
    deviceId,
    authentication: {
      type: "selfSigned",
      primaryThumbprint: certificate.sha256Thumbprint,
      secondaryThumbprint: undefined,
    },
  });
  return { deviceId, certificate };
}

const issued = async (cn: string, options: object = {}): Promise<Presented> => ({
  deviceId: "by-ca",
  certificate: await certificates.issue({ cn, issuer: deviceCa, ...options }),
});

const impostors: [
  name: string,
  present: () => Promise<Presented>,
  code: ErrorCode,
  reason: RegExp,
][] = [
  ["the wrong CN", () => issued("other"), "auth.certificate_cn", /CN is "other", not "by-ca"/],
  ["the CN in other letters", () => issued("By-CA"), "auth.certificate_cn", /"By-CA"/],
  ["a date in the past", () => issued("by-ca", past), "auth.certificate_expired", /ended at/],
  [
    "a date in the future",
    () => issued("by-ca", future),
    "auth.certificate_not_yet_valid",
    /begins at/,
  ],
  [
    "an issuer nobody trusts",
    async () => ({ deviceId: "by-ca", certificate: await certificates.issue({ cn: "by-ca" }) }),
    "auth.certificate_untrusted",
    /not trusted/,
  ],
  [
    "no issuer but itself",
    async () => ({
      deviceId: "by-ca",
      certificate: await certificates.selfSigned({ cn: "by-ca" }),
    }),
    "auth.certificate_untrusted",
    /not trusted/,
  ],
  [
    "an issuer of the trusted name with another key",
    async () => {
      const impostor = await certificates.ca({ cn: "Device CA" });
      const certificate = await certificates.issue({ cn: "by-ca", issuer: impostor });
      return { deviceId: "by-ca", certificate };
    },
    "auth.certificate_untrusted",
    /not trusted/,
  ],
  [
    "a leaf of a device as issuer",
    async () => {
      const leaf = await certificates.issue({ cn: "other", issuer: deviceCa });
      const certificate = await certificates.issue({ cn: "by-ca", issuer: leaf });
      return { deviceId: "by-ca", certificate };
    },
    "auth.certificate_untrusted",
    /not trusted/,
  ],
  [
    "an unknown thumbprint",
    async () => {
      await registered("pinned", await certificates.selfSigned({ cn: "pinned" }));
      return { deviceId: "pinned", certificate: await certificates.selfSigned({ cn: "pinned" }) };
    },
    "auth.thumbprint",
    /presented SHA-1 [0-9A-F]{40}/,
  ],
  [
    "the registered thumbprint and a date in the past",
    async () => registered("late", await certificates.selfSigned({ cn: "late", ...past })),
    "auth.certificate_expired",
    /ended at/,
  ],
  [
    "the registered thumbprint and a date in the future",
    async () => registered("early", await certificates.selfSigned({ cn: "early", ...future })),
    "auth.certificate_not_yet_valid",
    /begins at/,
  ],
  [
    "nothing presented",
    async () => ({ deviceId: "by-ca", certificate: undefined }),
    "auth.certificate_missing",
    /no certificate/,
  ],
];

test.each(impostors)("a certificate with %s is refused", async (_, present, code, reason) => {
  const { deviceId, certificate } = await present();
  const client = await world.open({ cert: certificate?.fullChain, key: certificate?.key });
  attempt(client, {
    clientId: deviceId,
    username: `localhost/${deviceId}/?api-version=2021-04-12`,
  });
  await expectRefusal(client, { code, returnCode: 5, reason, clientId: deviceId });
});

test("a certificate where a key is registered is refused", async () => {
  const { fullChain, key } = await certificates.issue({ cn: "witness", issuer: deviceCa });
  const client = await world.open({ cert: fullChain, key });
  const { clientId, username } = await world.connectFields(world.witnessKey);
  attempt(client, { clientId, username });
  await expectRefusal(client, {
    code: "auth.wrong_type",
    returnCode: 5,
    reason: /registered for sas and came with a certificate/,
    clientId: "witness",
  });
});

test("each refusal is counted by its check, and the right certificate is let in", async () => {
  const metrics = await world.hub.metricsText();
  const counted = (code: string): number =>
    Number(
      new RegExp(`hubwire_connects_refused_total\\{code="${code}"\\} (\\d+)`).exec(metrics)?.[1],
    );
  for (const code of new Set([
    ...strangers.map((each) => each[2]),
    ...impostors.map((each) => each[2]),
  ])) {
    expect(counted(code), code).toBe(
      world.logger.lines.filter((line) => line["code"] === code).length,
    );
  }
  const { certificate } = await issued("by-ca");
  const client = await world.open({ cert: certificate?.fullChain, key: certificate?.key });
  client.send(
    connectPacket({ clientId: "by-ca", username: "localhost/by-ca/?api-version=2021-04-12" }),
  );
  expect(await client.next()).toMatchObject({ cmd: "connack", returnCode: 0 });
  await client.disconnect();
});
