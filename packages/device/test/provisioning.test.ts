import { createHmac, randomBytes } from "node:crypto";
import { inspect } from "node:util";
import type { DeviceStatus } from "@hubwire/device";
import { buildSasToken, IotError } from "@hubwire/protocol";
import { memberKey } from "@hubwire/testkit";
import type { DpsReply, DpsScript } from "@hubwire/testkit";
import { expect, test } from "vitest";
import { hostName } from "./support/fake-hub.ts";
import { ProvisionedWorld, randomKey, registrationId } from "./support/provisioned-world.ts";

test("a device with a key is assigned to its hub, connects there and sends", async () => {
  const world = new ProvisionedWorld().enrol();
  const states: string[] = [];
  const onStatus = ({ state }: DeviceStatus): void => void states.push(state);
  const client = await world.open({ payload: { rack: 7 } }, { onStatus });
  await world.settle(client.sendTelemetry("hello"));
  expect(world.hub.texts).toEqual(["hello"]);
  expect(world.hub.current.request).toMatchObject({ clientId: "dev1" });
  expect(client.provisioned).toMatchObject({
    registrationId,
    assignedHub: hostName,
    deviceId: "dev1",
    payload: { echo: { rack: 7 } },
    substatus: "initialAssignment",
    remembered: false,
  });
  expect(world.service.requests.map(({ type }) => type)).toEqual(["register", "status"]);
  expect(world.service.usernames[0]).toMatch(
    /^0ne0000ABCD\/registrations\/reg-1\/api-version=2019-03-31&ClientVersion=hubwire-device%2F/,
  );
  expect(world.service.farewells).toBe(1);
  expect(states).toEqual(["provisioning", "connecting", "connected"]);
  await world.settle(client.close());
});

test("the time it was told is kept to the millisecond", async () => {
  const world = new ProvisionedWorld().enrol();
  world.service.registrations.pollsBeforeAssigned = 3;
  await world.open();
  const times = world.service.requestTimesMs;
  expect(times.map((atMs) => atMs - (times[0] as number))).toEqual([0, 3_000, 6_000, 9_000]);
});

test("a key of a group: the device's own is derived, for the service and for the hub", async () => {
  const world = new ProvisionedWorld();
  const groupKey = randomKey();
  let authentication: unknown;
  world.service.enrolGroup({
    groupId: "racks",
    primaryKey: groupKey,
    allocate: (request) => {
      ({ authentication } = request);
      return { assignedHub: hostName, deviceId: "dev1" };
    },
  });
  await world.open({ symmetricKey: undefined, groupKey, registrationId: "REG-1" });
  expect(authentication).toMatchObject({ primaryKey: memberKey(groupKey, registrationId) });
  const { password } = world.hub.current.request ?? {};
  const [, sr, sig, se] =
    /sr=([^&]+)&sig=([^&]+)&se=(\d+)$/.exec(Buffer.from(password ?? []).toString()) ?? [];
  const key = Buffer.from(memberKey(groupKey, registrationId), "base64");
  const expected = createHmac("sha256", key).update(`${sr}\n${se}`).digest("base64");
  expect(decodeURIComponent(sig ?? "")).toBe(expected);
});

test("sign and provider prove it too", async () => {
  const world = new ProvisionedWorld().enrol();
  const sign = (text: string): Promise<string> =>
    Promise.resolve(
      createHmac("sha256", Buffer.from(world.key, "base64")).update(text).digest("base64"),
    );
  const client = await world.open({ symmetricKey: undefined, sign });
  expect(client.provisioned?.deviceId).toBe("dev1");
  const scopes: unknown[] = [];
  const provider = {
    next: (scope: unknown) => {
      scopes.push(scope);
      return Promise.resolve({
        password: Buffer.from("SharedAccessSignature sr=x&sig=y&se=1"),
        tls: undefined,
        expiresAtMs: Infinity,
        renewable: false,
      });
    },
  };
  const refused = world.opening({ symmetricKey: undefined, provider });
  await world.clock.runUntil(() => refused.isSettled);
  expect(refused.code).toBe("provisioning.unauthorized");
  expect(scopes).toEqual([
    expect.objectContaining({
      resource: "0ne0000ABCD/registrations/reg-1",
      policyName: "registration",
    }),
  ]);
});

test.each([
  ["as it should be", {}, []],
  ["without skn", { policyName: undefined }, ["skn is not registration"]],
  ["of another policy", { policyName: "device" }, ["skn is not registration"]],
  [
    "for another id",
    { resource: "0ne0000ABCD/registrations/reg-2" },
    ["sr is another registration"],
  ],
  ["for another scope", { resource: "0ne0/registrations/reg-1" }, ["sr is another registration"]],
  ["that has ended", { expiresAtS: 1_700_000_000 }, ["the token has expired"]],
])("the service these tests have checks a token %s", async (_name, change, refusals) => {
  const world = new ProvisionedWorld().enrol();
  const sign = (text: string): Promise<string> =>
    Promise.resolve(
      createHmac("sha256", Buffer.from(world.key, "base64")).update(text).digest("base64"),
    );
  const right = { resource: "0ne0000ABCD/registrations/reg-1", policyName: "registration" };
  const token = await buildSasToken({ ...right, expiresAtS: 1_900_000_000, ...change }, sign);
  const credential = { tls: undefined, expiresAtMs: Infinity, renewable: false };
  const provider = {
    next: () => Promise.resolve({ ...credential, password: Buffer.from(token) }),
  };
  const opening = world.opening({ symmetricKey: undefined, provider });
  await world.clock.runUntil(() => opening.isSettled);
  expect(world.service.refusals).toEqual(refusals);
  expect(opening.code).toBe(refusals.length === 0 ? "value" : "provisioning.unauthorized");
});

test("without waiting it returns at once, and what was sent early leaves under the name it is given", async () => {
  const world = new ProvisionedWorld({
    onOpen: (number) => {
      if (number < 4) throw new IotError("transport.unreachable", "offline");
    },
  }).enrol();
  const client = await world.open({}, { waitForConnection: false });
  const sent = client.sendTelemetry("early", { timeoutMs: 600_000 });
  expect(client.provisioned).toBeUndefined();
  expect(client.status()).toMatchObject({
    state: "waiting",
    cause: { code: "transport.unreachable" },
  });
  await world.settle(sent);
  expect(world.hub.telemetry.map(({ topic }) => topic.split("/")[1])).toEqual(["dev1"]);
});

// --- what the service may do instead ---

const again =
  (count: number, reply: Partial<DpsReply>): NonNullable<DpsScript["reply"]> =>
  (_request, number) =>
    number > count ? undefined : [{ status: 500, body: "", ...reply }];
const hang = (): Promise<void> => new Promise(() => undefined);

test.each<[string, DpsScript]>([
  ["throttles", { reply: again(3, { status: 429, retryAfterS: 7 }) }],
  ["fails", { reply: again(4, { status: 503 }) }],
  ["is late", { reply: again(2, { afterMs: 29_000 }) }],
  ["is too late", { reply: again(1, { status: 401, afterMs: 31_000 }) }],
  ["answers somebody else first", { reply: again(1, { status: 200, rid: "other" }) }],
  ["answers garbage", { reply: again(1, { status: 202, body: Buffer.from("<html>") }) }],
  ["cuts the connection", { reply: (_request, number) => (number < 3 ? "cut" : undefined) }],
  ["says nothing once", { reply: (_request, number) => (number === 1 ? [] : undefined) }],
  ["is busy at CONNECT", { refuse: (number) => (number < 3 ? 3 : undefined) }],
  [
    "is not there",
    {
      onOpen: (number) => {
        if (number < 3) throw new IotError("transport.dns", "no such host");
      },
    },
  ],
  ["opens no stream once", { onOpen: (number) => (number === 1 ? hang() : undefined) }],
])("a service that %s is waited for", async (_name, script) => {
  const world = new ProvisionedWorld(script).enrol();
  const client = await world.open({}, { connectTimeoutMs: 600_000 });
  await world.settle(client.sendTelemetry("at last"));
  expect(world.hub.texts).toEqual(["at last"]);
  await world.settle(client.close());
  expect(world.service.connections).toBe(0);
});

test("an answer that comes twice is one answer", async () => {
  const world = new ProvisionedWorld().enrol();
  const assigned = {
    status: 200,
    body: {
      operationId: "5.a",
      status: "assigned",
      registrationState: { status: "assigned", assignedHub: hostName, deviceId: "dev1" },
    },
  };
  world.service.script.reply = () => [assigned, { status: 401, body: {} }, assigned];
  const client = await world.open();
  expect(client.provisioned?.assignedHub).toBe(hostName);
  expect(world.service.requests).toHaveLength(1);
});

test.each<[string, DpsScript, string]>([
  [
    "refuses the proof",
    { reply: again(9, { status: 401, body: { errorCode: 401002 } }) },
    "provisioning.unauthorized",
  ],
  ["refuses CONNECT", { refuse: () => 5 }, "provisioning.unauthorized"],
  ["refuses the subscription", { refuseSubscription: true }, "provisioning.subscription_refused"],
  ["knows no enrolment", { reply: again(9, { status: 404 }) }, "provisioning.enrollment_not_found"],
])("a service that %s ends connect() at once", async (_name, script, code) => {
  const world = new ProvisionedWorld(script).enrol();
  const opening = world.opening();
  await world.clock.runUntil(() => opening.isSettled);
  expect(opening.error).toMatchObject({ code, retryable: false });
  expect(world.clock.nowMs()).toBeLessThan(1_000);
  await world.clock.advance(60_000);
  expect(world.service.connections).toBe(0);
});

test("a wrong key, an unknown id and a disabled enrolment are told apart as far as the service does", async () => {
  const world = new ProvisionedWorld().enrol();
  const wrong = world.opening({ symmetricKey: randomKey() });
  await world.clock.runUntil(() => wrong.isSettled);
  expect(wrong.code).toBe("provisioning.unauthorized");
  expect(world.service.refusals).toEqual(["sig is not of the key"]);
  world.service.enrol({
    registrationId: "off",
    primaryKey: world.key,
    provisioningStatus: "disabled",
    allocate: () => ({ assignedHub: hostName }),
  });
  const off = world.opening({ registrationId: "off" });
  await world.clock.runUntil(() => off.isSettled);
  expect(off.code).toBe("provisioning.disabled");
});

test("an allocation that fails is asked for again", async () => {
  const world = new ProvisionedWorld();
  let failures = 2;
  world.service.enrol({
    registrationId,
    primaryKey: world.key,
    allocate: () => {
      if (failures-- > 0) throw new Error("cold start");
      return { assignedHub: hostName, deviceId: "dev1" };
    },
  });
  const client = await world.open();
  expect(client.provisioned?.deviceId).toBe("dev1");
});

test.each<[string, DpsScript]>([
  ["never opens a stream", { onOpen: hang }],
  ["never answers", { reply: () => [] }],
  ["throttles for ever", { reply: () => [{ status: 429, body: "", retryAfterS: 3_600 }] }],
  ["answers garbage for ever", { reply: () => [{ status: 200, body: Buffer.from([0, 255]) }] }],
  [
    "never comes to an end",
    { reply: () => [{ status: 202, body: { operationId: "5.a", status: "assigning" } }] },
  ],
])("connect() settles by its deadline at a service that %s", async (_name, script) => {
  const world = new ProvisionedWorld(script).enrol();
  const opening = world.opening({}, { connectTimeoutMs: 45_000 });
  await world.clock.runUntil(() => opening.isSettled);
  expect(opening.code).toBe("device.connect_timeout");
  expect(world.clock.nowMs()).toBe(45_000);
  await world.clock.advance(3_600_000);
  expect(world.service.connections).toBe(0);
});

test("its signal ends it at any moment, and nothing goes on", async () => {
  for (const atMs of [0, 1, 500, 3_000]) {
    const world = new ProvisionedWorld().enrol();
    const controller = new AbortController();
    const opening = world.opening({}, { signal: controller.signal });
    await world.clock.advance(atMs);
    if (opening.isSettled) continue;
    controller.abort(new Error("enough"));
    await world.clock.settle();
    expect(opening.code).toBe("call.aborted");
    expect(world.service.connections).toBe(0);
    await world.clock.advance(600_000);
    expect(world.service.connections).toBe(0);
    expect(world.service.requests.length).toBeLessThan(3);
  }
});

test("a service that sends away is not asked before the time it named, whatever the back-off says", async () => {
  const world = new ProvisionedWorld({
    reply: again(1, { status: 429, retryAfterS: 600 }),
  }).enrol();
  await world.open({}, { waitForConnection: false });
  await world.clock.advance(599_000);
  expect(world.service.requests).toHaveLength(1);
  await world.clock.advance(60_000);
  expect(world.service.requests.length).toBeGreaterThan(1);
});

// --- remembering, and asking again ---

test("a hub that refuses is left for the one the service names now", async () => {
  let refusing = true;
  const world = new ProvisionedWorld({}, { refuse: () => (refusing ? 5 : undefined) }).enrol();
  const client = await world.open({}, { waitForConnection: false });
  await world.clock.runUntil(() => client.status().state === "waiting");
  world.assignedHub = "other.example";
  let refusalsWhenAsked = 0;
  world.service.script.reply = () => {
    refusalsWhenAsked = world.hub.refusals.length;
    return undefined;
  };
  await world.clock.runUntil(() => client.provisioned?.assignedHub === "other.example");
  expect(refusalsWhenAsked).toBe(3);
  refusing = false;
  await world.settle(client.sendTelemetry("moved"));
  expect(world.hub.current.request?.username).toMatch(/^other\.example\/dev1\//);
  expect(client.provisioned?.substatus).toBe("deviceDataMigrated");
});

test("asking that changes nothing is done more and more seldom", async () => {
  const world = new ProvisionedWorld({}, { refuse: () => 5 }).enrol();
  await world.open({}, { waitForConnection: false });
  const registrations = (): number =>
    world.service.requests.filter(({ type }) => type === "register").length;
  await world.clock.advance(3_600_000);
  const first = registrations();
  await world.clock.advance(9 * 3_600_000);
  expect(first).toBeGreaterThan(2);
  expect(registrations() - first).toBeLessThan(9 * 4);
});

test("a renamed device sends what was on the way under its new name", async () => {
  let isNewName = false;
  const world = new ProvisionedWorld(
    {},
    {
      refuse: () => (isNewName && world.hub.opened < 6 ? 5 : undefined),
      // Nothing is acknowledged under the old name.
      onEffect: (effect) => (effect.type === "message" && !isNewName ? "taken" : undefined),
    },
  );
  world.service.enrol({
    registrationId,
    primaryKey: world.key,
    allocate: () => ({ assignedHub: hostName, deviceId: isNewName ? "dev1" : "dev0" }),
  });
  const client = await world.open();
  const sent = [1, 2, 3].map((n) => client.sendTelemetry(`m${n}`, { timeoutMs: 600_000 }));
  await world.clock.settle();
  isNewName = true;
  world.hub.cut();
  await world.settle(Promise.all(sent));
  expect(world.hub.texts).toEqual(["m1", "m2", "m3"]);
  expect(world.hub.telemetry.every(({ topic }) => topic.startsWith("devices/dev1/"))).toBe(true);
  expect(client.provisioned?.deviceId).toBe("dev1");
});

test("no key shows, wherever one looks", async () => {
  const world = new ProvisionedWorld().enrol();
  const groupKey = randomBytes(32).toString("base64");
  const client = await world.open();
  const refused = world.opening({ symmetricKey: undefined, groupKey });
  await world.clock.runUntil(() => refused.isSettled);
  const shown = inspect([client, refused.error, world.service.requests], {
    depth: 20,
    showHidden: true,
  });
  expect(shown).not.toContain(world.key);
  expect(shown).not.toContain(groupKey);
});

test.each([
  [{ idScope: "" }, "idScope"],
  [{ idScope: "a/b" }, "idScope"],
  [{ registrationId: "a b" }, "registration id"],
  [{ registrationId: undefined }, "registrationId"],
  [{ symmetricKey: "" }, "symmetricKey"],
  [{ symmetricKey: undefined }, "exactly one"],
  [{ groupKey: "AAAA" }, "exactly one"],
  [{ provisioningHost: "https://dps" }, "provisioningHost"],
  [{ timeoutMs: 5 }, "timeoutMs"],
  [{ refusalsBeforeReprovision: 0 }, "refusalsBeforeReprovision"],
  [{ reprovision: "often" }, "reprovision"],
  [{ remember: {} }, "remember"],
  [{ port: 0 }, "port"],
  [{ payload: "x".repeat(100_000) }, "98304"],
  [{ certificateRequest: { csr: "?", key: "" } }, "csr"],
  [{ idscope: "0ne" }, "no option provisioning.idscope"],
])("mistake %# is named at once", async (wrong, says) => {
  const world = new ProvisionedWorld().enrol();
  const opening = world.opening(wrong as never);
  await world.clock.settle();
  expect(opening.error).toMatchObject({ code: "argument.invalid" });
  expect(opening.error.message).toContain(says);
  expect(world.service.opened).toBe(0);
});

test.each(["connectionString", "credentials", "hostName", "clientId", "username", "password"])(
  "%s beside provisioning is a mistake",
  async (name) => {
    const world = new ProvisionedWorld().enrol();
    const opening = world.opening({}, { [name]: "x" } as never);
    await world.clock.settle();
    expect(opening.error.message).toContain(`leave ${name} out`);
  },
);
