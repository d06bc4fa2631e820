import { createPrivateKey, randomBytes } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { buildSasToken, IotError } from "@hubwire/protocol";
import { testCertificates } from "@hubwire/testkit";
import { VirtualClock } from "@hubwire/transport";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { connect } from "@hubwire/device";
import type { ConnectOptions, DeviceClient, DeviceOptions, SingleProof } from "@hubwire/device";
import { sealFile, sealedFile, secretFile } from "@hubwire/device/secrets";
import { signWithKey } from "../../src/credentials/passwords.ts";
import { channelName, channels } from "../../src/observe/channels.ts";
import type { DeviceEventName } from "../../src/observe/channels.ts";
import { resolveOptions } from "../../src/options/resolve.ts";
import { FakeHub, hostName, identity } from "../support/fake-hub.ts";
import { Outcome } from "../support/world.ts";

const runs = process.env["HUBWIRE_LONG"] === "1" ? 500 : 30;
const folder = mkdtempSync(join(tmpdir(), "hubwire-leaks-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const certificates = await testCertificates();
const wallMs = Date.now();

/** A way to prove who one is, and the texts that nobody may see. */
type Case = {
  proof: SingleProof;
  secrets: readonly string[];
  /** As a connection string, where it can be one. */
  connectionString?: string;
};

let files = 0;
const newFile = (): string => join(folder, String((files += 1)));
const newKey = (): string => randomBytes(32).toString("base64");
const pemBody = (pem: string): string => pem.split("\n")[1] ?? pem;

async function keyCase(): Promise<Case> {
  const sharedAccessKey = newKey();
  const connectionString = `HostName=${hostName};DeviceId=${identity.deviceId};SharedAccessKey=${sharedAccessKey}`;
  return { proof: { sharedAccessKey }, secrets: [sharedAccessKey], connectionString };
}

async function secretFileCase(): Promise<Case> {
  const [secret, file] = [newKey(), newFile()];
  writeFileSync(file, secret, { mode: 0o600 });
  return { proof: { sharedAccessKey: secretFile(file) }, secrets: [secret] };
}

async function sealedCase(): Promise<Case> {
  const [secret, passphrase, file] = [newKey(), newKey(), newFile()];
  await sealFile(file, secret, { passphrase, work: { log2N: 14, r: 8, p: 1 } });
  return {
    proof: { sharedAccessKey: sealedFile(file, passphrase) },
    secrets: [secret, passphrase],
  };
}

async function tokenCase(): Promise<Case> {
  const [sign, key] = [signWithKey(newKey()), newKey()];
  const scope = { resource: `${hostName}/devices/${identity.deviceId}` };
  const expiresAtS = Math.floor(wallMs / 1000) + 3_600;
  const sharedAccessSignature = await buildSasToken({ ...scope, expiresAtS }, sign);
  const refreshed = await buildSasToken({ ...scope, expiresAtS: expiresAtS + 1 }, signWithKey(key));
  const signatures = [sharedAccessSignature, refreshed].map(
    (token) => /sig=([^&]*)/u.exec(token)?.[1] ?? "",
  );
  return {
    proof: { sharedAccessSignature, refresh: () => refreshed },
    secrets: [...signatures, key],
    connectionString: `HostName=${hostName};DeviceId=${identity.deviceId};SharedAccessSignature=${sharedAccessSignature}`,
  };
}

async function certificateCase(inFiles: boolean, encrypted: boolean): Promise<Case> {
  const { cert, key } = await certificates.issue({ cn: identity.deviceId, days: 300 });
  const passphrase = newKey();
  const cipher = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase } as const;
  const pem = encrypted ? String(createPrivateKey(key).export(cipher)) : key;
  const secrets = [pemBody(pem), ...(encrypted ? [passphrase] : [])];
  const extra = encrypted ? { passphrase } : {};
  if (!inFiles) return { proof: { certificate: { cert, key: pem, ...extra } }, secrets };
  const [certFile, keyFile] = [newFile(), newFile()];
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, pem, { mode: 0o600 });
  return { proof: { certificate: { certFile, keyFile, ...extra } }, secrets };
}

async function ownProviderCase(): Promise<Case> {
  const secret = newKey();
  const password = Buffer.from(`SharedAccessSignature sr=a&sig=${secret}&se=9999999999`);
  const credential = { password, tls: undefined, expiresAtMs: Infinity, renewable: false };
  return { proof: { provider: { next: async () => credential } }, secrets: [secret] };
}

async function signCase(): Promise<Case> {
  const secret = newKey();
  return { proof: { sign: signWithKey(secret) }, secrets: [secret] };
}

const makers = {
  key: keyCase,
  "signing function": signCase,
  "provider of one's own": ownProviderCase,
  "key in a file": secretFileCase,
  "key in a sealed file": sealedCase,
  token: tokenCase,
  certificate: () => certificateCase(false, false),
  "certificate with passphrase": () => certificateCase(false, true),
  "certificate in files": () => certificateCase(true, false),
  "certificate in files with passphrase": () => certificateCase(true, true),
};
const kinds = Object.keys(makers) as (keyof typeof makers)[];

/** Everything that can be seen of a value by the usual ways of printing one. */
function visible(value: unknown): string {
  const seen = [
    inspect(value, { depth: Infinity, showHidden: true, getters: true }),
    inspect(value, {
      depth: Infinity,
      customInspect: false,
      maxArrayLength: null,
      maxStringLength: null,
    }),
    json(value),
    String(value),
  ];
  for (let error = value; error instanceof Error; error = error.cause) {
    seen.push(
      error.message,
      error.stack ?? "",
      json(Object.assign({}, error)),
      json(Object.getOwnPropertyDescriptors(error)),
    );
  }
  return seen.join("\n");
}

function json(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "";
  } catch (error) {
    // A cycle: then it cannot be printed so.
    return String(error);
  }
}

/** Bytes are as good as text for whoever reads a log. */
const forms = (secret: string): string[] => {
  const bytes = Buffer.from(secret);
  return [
    secret,
    bytes.toString("base64"),
    bytes.toString("hex"),
    [...bytes.subarray(0, 12)].join(","),
    bytes
      .subarray(0, 12)
      .toString("hex")
      .replaceAll(/(..)(?=.)/gu, "$1 "),
    encodeURIComponent(secret),
  ];
};

function expectNoSecret(values: readonly unknown[], secrets: readonly string[]): void {
  const text = values.map(visible).join("\n");
  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(16);
    for (const form of forms(secret))
      expect(text.includes(form), "a secret is visible").toBe(false);
  }
}

/** Subscribes to all channels of the device. */
function listening(seen: unknown[]): () => void {
  const names = Object.keys(channels) as DeviceEventName[];
  const note = (event: unknown): void => void seen.push(event);
  for (const name of names) subscribe(channelName(name), note);
  return () => names.forEach((name) => unsubscribe(channelName(name), note));
}

test.each(kinds)(
  "the check itself sees a secret of the kind %s in the options it came in",
  async (kind) => {
    const { proof, secrets } = await makers[kind]();
    const elsewhere = /^(?:key in|certificate in files$|signing|provider)/u;
    const look = (): void => expectNoSecret([proof], secrets);
    if (elsewhere.test(kind)) look();
    else expect(look).toThrow("a secret is visible");
  },
);

test.each(kinds)(
  "what is presented for a %s can be read by the connection and not printed",
  async (kind) => {
    const { proof, secrets } = await makers[kind]();
    const settings = resolveOptions({ credentials: { hostName, ...identity, ...proof } });
    const { signal } = new AbortController();
    const scope = { hostName, ...identity };
    const request = { wallMs, fresh: false, signal };
    const credential = await settings.credentials.next(scope, request);
    expect(credential.password ?? credential.tls).toBeDefined();
    const printed = [
      inspect(credential, { depth: Infinity, showHidden: true }),
      inspect(credential, { depth: Infinity, customInspect: false }),
      JSON.stringify(credential),
    ];
    const all = [...secrets, Buffer.from(credential.password ?? kind.repeat(4)).toString()];
    expectNoSecret([printed.join("\n"), settings], all);
  },
);

test("whatever kind of credential, whatever the hub answers, exchanged or not: no secret can be seen", async () => {
  const anyKind = fc.constantFrom(...kinds);
  const answer = fc.constantFrom(undefined, undefined, undefined, 1, 2, 3, 4, 5 as const);
  const script = fc.record({
    first: anyKind,
    next: fc.option(anyKind),
    given: fc.option(anyKind),
    answers: fc.array(answer, { minLength: 1, maxLength: 4 }),
    asText: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(script, async ({ first, next, given, answers, asText }) => {
      const clock = new VirtualClock({ wallMs });
      let attempts = 0;
      const refuse = (): (typeof answers)[number] => answers[attempts++];
      const hub = new FakeHub(clock, { refuse });
      const seen: unknown[] = [];
      const [one, two, other] = await Promise.all([
        makers[first](),
        next === null ? undefined : makers[next](),
        given === null ? undefined : makers[given](),
      ]);
      const secrets = [one, two, other].flatMap((each) => each?.secrets ?? []);
      const stop = listening(seen);
      const own: DeviceOptions = {
        clock,
        openStream: hub.open,
        random: () => 0.5,
        failFast: false,
        connectTimeoutMs: 60_000,
        onStatus: (status) => seen.push(status),
        onError: (error, where) => seen.push(error, where),
      };
      const proof = two === undefined ? one.proof : { current: one.proof, next: two.proof };
      const options: ConnectOptions =
        asText && one.connectionString !== undefined
          ? { connectionString: one.connectionString, ...own }
          : { credentials: { hostName, ...identity, ...proof }, ...own };
      seen.push(resolveOptions(options));
      const opening = new Outcome<DeviceClient>(connect(options));
      await settled(clock, opening);
      if (opening.code === "value") {
        const client = opening.value;
        seen.push(client, client.status(), client.stats());
        const calls: Outcome<unknown>[] = [new Outcome(client.sendTelemetry({ a: 1 }))];
        if (other !== undefined) calls.push(new Outcome(client.rotateCredentials(other.proof)));
        for (const call of calls) {
          await settled(clock, call);
          seen.push(call.code === "value" ? client : call.error);
        }
        seen.push(client);
        await settled(clock, new Outcome(client.close()));
        seen.push(client, client.status());
      } else seen.push(opening.error);
      stop();
      expectNoSecret(seen, secrets);
    }),
    { numRuns: runs },
  );
}, 300_000);

/** Moves virtual time on, and lets the file system answer meanwhile. */
async function settled(clock: VirtualClock, outcome: Outcome<unknown>): Promise<void> {
  for (let round = 0; !outcome.isSettled; round += 1) {
    if (round > 100_000) throw new Error("it does not settle");
    await new Promise((resolve) => setImmediate(resolve));
    if (round % 20 === 19) await clock.advance(500);
  }
}

test.each([
  ["a key in the wrong place", (key: string) => ({ connectionString: key })],
  [
    "a key as the host",
    (key: string) => ({ credentials: { hostName, deviceId: `${key}\n`, sharedAccessKey: key } }),
  ],
  [
    "two proofs",
    (key: string) => ({
      credentials: { hostName, ...identity, sharedAccessKey: key, sharedAccessSignature: key },
    }),
  ],
  [
    "a key as a token",
    (key: string) => ({ credentials: { hostName, ...identity, sharedAccessSignature: key } }),
  ],
  [
    "a key as a certificate",
    (key: string) => ({ credentials: { hostName, ...identity, certificate: { cert: key, key } } }),
  ],
  [
    "a cut connection string",
    (key: string) => ({ connectionString: `HostName=h;SharedAccessKey=${key}` }),
  ],
  [
    "a connection string with a second key",
    (key: string) => ({
      connectionString: `HostName=h;DeviceId=d;SharedAccessKey=${key};SharedAccessKey=${key}`,
    }),
  ],
])("what is refused at once, %s, is refused without being quoted", async (_name, options) => {
  const key = newKey();
  const error = await connect(options(key) as ConnectOptions).catch((given: unknown) => given);
  expect(error).toBeInstanceOf(IotError);
  expectNoSecret([error], [key]);
});
