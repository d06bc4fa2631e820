import { createHmac, randomBytes } from "node:crypto";
import { IotError, parseSasToken, verifySasSignature } from "@hubwire/protocol";
import { expect, test } from "vitest";
import type { DeviceStatus, RotationEnd, SecretSource, SingleProof } from "@hubwire/device";
import { hostName, identity } from "../support/fake-hub.ts";
import { Outcome, World } from "../support/world.ts";

const newKey = (): string => randomBytes(32).toString("base64");

const signedBy = (password: Uint8Array | undefined, key: string): boolean =>
  verifySasSignature(parseSasToken(Buffer.from(password ?? []).toString()), [key], (bytes, text) =>
    createHmac("sha256", bytes).update(text).digest("base64"),
  );

/** A hub that takes tokens signed with one of its keys, and nothing else. */
class StrictWorld extends World {
  #latest: Uint8Array | undefined;

  constructor(...keys: string[]) {
    super({
      refuse: (_number, { password }) => {
        this.#latest = password;
        return keys.some((key) => signedBy(password, key)) ? undefined : 5;
      },
    });
  }

  /** Which of some keys signed the latest token. */
  usedBy(keys: Record<string, string>): string | undefined {
    return Object.entries(keys).find(([, key]) => signedBy(this.#latest, key))?.[0];
  }
}

const by = (proof: object): object => ({ credentials: { hostName, ...identity, ...proof } });

const place = (read: () => Promise<string>): SecretSource => ({ name: "a test's place", read });

test("a connection string is read from where it is, once", async () => {
  const key = newKey();
  const world = new StrictWorld(key);
  let reads = 0;
  const connectionString = place(async () => {
    reads += 1;
    return `HostName=${hostName};DeviceId=${identity.deviceId};SharedAccessKey=${key}`;
  });
  const client = await world.connect({ credentials: undefined, connectionString } as object);
  await world.settle(client.sendTelemetry("x"));
  expect(reads).toBe(1);
});

test("a key is read for each token, so that one that was replaced in its place is found", async () => {
  const [first, second] = [newKey(), newKey()];
  const world = new StrictWorld(first, second);
  let key = first;
  await world.connect(by({ sharedAccessKey: place(async () => key) }));
  expect(world.usedBy({ first, second })).toBe("first");
  key = second;
  await world.clock.runUntil(() => world.hub.opened === 2 && world.usedBy({ second }) === "second");
});

test.each(["sharedAccessKey", "connectionString"])(
  "a %s that is not where it should be ends connect() with its own error",
  async (name) => {
    const world = new World();
    const missing = place(() => Promise.reject(new IotError("secret.missing", "not there")));
    const options =
      name === "connectionString"
        ? { credentials: undefined, connectionString: missing }
        : by({ sharedAccessKey: missing });
    const opening = world.connecting(options as object);
    await world.clock.runUntil(() => opening.isSettled);
    expect(opening.code).toBe("secret.missing");
    expect(world.hub.opened).toBe(0);
  },
);

test("a place that cannot be read for a while is asked again", async () => {
  const key = newKey();
  const world = new StrictWorld(key);
  let reads = 0;
  const locked = place(async () => {
    reads += 1;
    if (reads < 3) throw new IotError("secret.unreadable", "locked");
    return key;
  });
  await world.connect(by({ sharedAccessKey: locked }));
  expect(reads).toBe(3);
});

test("a key is exchanged while messages are on the way: none is lost, none waits for a back-off", async () => {
  const [first, second] = [newKey(), newKey()];
  const world = new StrictWorld(first, second);
  const states: DeviceStatus[] = [];
  const client = await world.connect({
    ...by({ sharedAccessKey: first }),
    onStatus: (status: DeviceStatus) => states.push(status),
  });
  const sends = Array.from({ length: 50 }, (_, n) => client.sendTelemetry(`m${n}`));
  const ends: RotationEnd[] = [];
  const rotating = client.rotateCredentials(
    { sharedAccessKey: second },
    { onRotated: (end) => void ends.push(end) },
  );
  await world.settle(Promise.all([rotating, ...sends]), 10_000);
  expect(ends).toEqual([{ winner: "next" }]);
  expect(world.usedBy({ first, second })).toBe("second");
  expect(new Set(world.hub.texts).size).toBe(50);
  expect(states.map(({ state }) => state)).not.toContain("waiting");
});

test("a wrong key is tried beside the connection in use, which goes on", async () => {
  const first = newKey();
  const world = new StrictWorld(first);
  const client = await world.connect(by({ sharedAccessKey: first }));
  const since = client.status();
  const rotating = new Outcome(client.rotateCredentials({ sharedAccessKey: newKey() }));
  await world.clock.runUntil(() => rotating.isSettled);
  expect(rotating.error).toMatchObject({
    code: "device.rotation_refused",
    cause: { code: "device.refused_not_authorized" },
  });
  expect(client.status()).toMatchObject({
    state: "connected",
    since: (since as { since: Date }).since,
  });
  await world.settle(client.sendTelemetry("still here"), 1_000);
});

test("current and next: the next one is used once the hub has taken it", async () => {
  const [first, second] = [newKey(), newKey()];
  const world = new StrictWorld(first, second);
  const ends: RotationEnd[] = [];
  await world.connect(
    by({
      current: { sharedAccessKey: first },
      next: { sharedAccessKey: second },
      onRotated: (end: RotationEnd) => void ends.push(end),
    }),
  );
  await world.clock.runUntil(() => ends.length === 1);
  expect(ends).toEqual([{ winner: "next" }]);
  expect(world.usedBy({ first, second })).toBe("second");
});

test("current was revoked while the device was away: next gets it in, also with failFast", async () => {
  const [first, second] = [newKey(), newKey()];
  const world = new StrictWorld(second);
  const ends: RotationEnd[] = [];
  await world.connect(
    by({
      current: { sharedAccessKey: first },
      next: { sharedAccessKey: second },
      onRotated: (end: RotationEnd) => void ends.push(end),
    }),
  );
  expect(world.usedBy({ first, second })).toBe("second");
  await world.clock.settle();
  expect(ends).toEqual([{ winner: "next" }]);
});

test("an exchange that is not decided in time, or is called off, leaves the present key", async () => {
  const [first, second] = [newKey(), newKey()];
  const world = new StrictWorld(first, second);
  let isOpen = true;
  const client = await world.connect(by({ sharedAccessKey: first }));
  world.hub.script.onOpen = () => (isOpen ? undefined : new Promise<void>(() => {}));
  isOpen = false;
  const next: SingleProof = { sharedAccessKey: second };
  const late = new Outcome(client.rotateCredentials(next, { timeoutMs: 3_000 }));
  await world.clock.runUntil(() => late.isSettled);
  expect(late.code).toBe("call.timeout");
  const controller = new AbortController();
  const calledOff = new Outcome(client.rotateCredentials(next, { signal: controller.signal }));
  controller.abort();
  const never = new Outcome(client.rotateCredentials(next, { signal: controller.signal }));
  await world.clock.settle();
  expect([calledOff.code, never.code]).toEqual(["call.aborted", "call.aborted"]);
  isOpen = true;
  await world.clock.advance(7_200_000);
  expect(world.usedBy({ first, second })).toBe("first");
});

test("what is no credential is refused at once; a closed client takes none", async () => {
  const world = new World();
  const client = await world.connect();
  const offers: unknown[] = [
    {},
    { sharedAccessKey: undefined },
    undefined,
    "key",
    { sharedAccessKey: "a", sign: () => "" },
  ];
  for (const offer of offers) {
    const refused = client.rotateCredentials(offer as SingleProof);
    await expect(refused).rejects.toMatchObject({ code: "argument.invalid" });
  }
  await world.settle(client.close());
  const late = client.rotateCredentials({ sharedAccessKey: newKey() });
  await expect(late).rejects.toMatchObject({ code: "client.closed" });
});

test.each([
  ["next without current", { next: { sharedAccessKey: "a" } }],
  ["current without next", { current: { sharedAccessKey: "a" } }],
  [
    "current beside a key",
    { current: { sharedAccessKey: "a" }, next: { sharedAccessKey: "b" }, sharedAccessKey: "c" },
  ],
  ["certFile without keyFile", { certificate: { certFile: "a.pem" } }],
  ["a poll that never rests", { certificate: { certFile: "a", keyFile: "b", pollMs: 1 } }],
])("%s is refused at once", async (_name, proof) => {
  const opening = new World().connecting(by(proof));
  await new Promise((resolve) => setImmediate(resolve));
  expect(opening.code).toBe("argument.invalid");
});
