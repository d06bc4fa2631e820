import { createPrivateKey, X509Certificate } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IotError } from "@hubwire/protocol";
import { testCertificates } from "@hubwire/testkit";
import type { TestCertificate } from "@hubwire/testkit";
import { systemClock } from "@hubwire/transport";
import fc from "fast-check";
import { afterAll, afterEach, expect, test } from "vitest";
import type { CertificateFiles, Credential, CredentialProvider } from "@hubwire/device";
import { proveByCertificate } from "../../src/credentials/proofs.ts";

const runs = process.env["HUBWIRE_LONG"] === "1" ? 300 : 15;
const root = mkdtempSync(join(tmpdir(), "hubwire-certificate-"));
const certificates = await testCertificates();
const authority = await certificates.ca({ cn: "Intermediate", issuer: certificates.root });
const [first, second, third] = (await Promise.all(
  ["one", "two", "three"].map((cn) => certificates.issue({ cn, issuer: authority })),
)) as [TestCertificate, TestCertificate, TestCertificate];
const opened: CredentialProvider[] = [];

afterEach(() => {
  for (const provider of opened.splice(0)) provider.close?.();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
function newFolder(): string {
  folders += 1;
  const folder = join(root, String(folders));
  mkdirSync(folder);
  return folder;
}

const put = (folder: string, certificate: TestCertificate): void => {
  writeFileSync(join(folder, "tls.crt"), certificate.fullChain);
  writeFileSync(join(folder, "tls.key"), certificate.key);
};

const filesIn = (folder: string): CertificateFiles => ({
  certFile: join(folder, "tls.crt"),
  keyFile: join(folder, "tls.key"),
  // Longer than any of these tests: what is not noticed by itself is not noticed.
  pollMs: 3_600_000,
});

/** A provider at work, as a client would use it. */
class Device {
  readonly provider: CredentialProvider;
  readonly notices: IotError[] = [];
  changes = 0;
  #waiting: (() => void)[] = [];

  constructor(files: CertificateFiles) {
    this.provider = proveByCertificate(files).provider;
    opened.push(this.provider);
    const awake = (): void => {
      for (const wake of this.#waiting.splice(0)) wake();
    };
    this.provider.onChange?.(() => {
      this.changes += 1;
      awake();
    });
    const notice = (news: IotError): void => {
      this.notices.push(news);
      awake();
    };
    this.provider.attach?.({ clock: systemClock(), notice });
  }

  present(wallMs = Date.now()): Promise<Credential> {
    const { signal } = new AbortController();
    const scope = { hostName: "hub", deviceId: "d" };
    return this.provider.next(scope, { wallMs, fresh: false, signal });
  }

  /** The common name of what one attempt presents and the hub takes, or refuses. */
  async connect(failure?: Error): Promise<string> {
    const credential = await this.present();
    this.provider.outcome?.(credential, failure);
    await new Promise((resolve) => setImmediate(resolve));
    return nameOf(credential);
  }

  /** Something is told: a change or a notice. */
  told(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

function nameOf({ tls }: Credential): string {
  const leaf = new X509Certificate(tls?.cert ?? "");
  expect(leaf.checkPrivateKey(createPrivateKey(tls?.key ?? ""))).toBe(true);
  return leaf.subject.replace("CN=", "");
}

test("files are read when the first connection is made; the same certificate is the same object", async () => {
  const folder = newFolder();
  const device = new Device(filesIn(folder));
  put(folder, first);
  const credential = await device.present();
  expect(nameOf(credential)).toBe("one");
  expect(credential.expiresAtMs).toBe(Math.floor(first.notAfter.getTime() / 1000) * 1000);
  expect((await device.present()).tls).toBe(credential.tls);
});

test("a chain in a file of its own, and a key whose passphrase is somewhere else", async () => {
  const folder = newFolder();
  const passphrase = "open sesame";
  const key = createPrivateKey(first.key).export({
    type: "pkcs8",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase,
  });
  const files = { ...filesIn(folder), chainFile: join(folder, "ca.crt") };
  writeFileSync(files.certFile, first.cert);
  writeFileSync(files.keyFile, key);
  writeFileSync(files.chainFile, first.chain);
  const source = { name: "a test", read: async () => passphrase };
  const { tls } = await new Device({ ...files, passphrase: source }).present();
  expect([tls?.chain, tls?.passphrase]).toEqual([first.chain, passphrase]);
  await expect(new Device(files).present()).rejects.toMatchObject({
    code: "transport.tls_credentials",
  });
  const wrong = new Device({ ...files, passphrase: "close sesame" }).present();
  await expect(wrong).rejects.toMatchObject({ code: "transport.tls_credentials" });
});

test.each([
  [
    "renamed over",
    (folder: string) => {
      for (const [name, pem] of [
        ["tls.crt", second.fullChain],
        ["tls.key", second.key],
      ] as const) {
        writeFileSync(join(folder, "new"), pem);
        renameSync(join(folder, "new"), join(folder, name));
      }
    },
  ],
  ["written over", (folder: string) => put(folder, second)],
  [
    "taken away and written anew",
    (folder: string) => {
      unlinkSync(join(folder, "tls.key"));
      unlinkSync(join(folder, "tls.crt"));
      put(folder, second);
    },
  ],
])("new files, %s, are noticed and presented on trial", async (_name, replace) => {
  const folder = newFolder();
  put(folder, first);
  const device = new Device(filesIn(folder));
  expect(await device.connect()).toBe("one");
  const told = device.told();
  replace(folder);
  await told;
  const credential = await device.present();
  expect([nameOf(credential), credential.trial]).toEqual(["two", true]);
  device.provider.outcome?.(credential, undefined);
  expect((await device.present()).trial).toBe(false);
  expect(device.notices).toEqual([]);
});

test("a Kubernetes secret: all files change at once with one symbolic link", async () => {
  const folder = newFolder();
  const swap = (generation: string, certificate: TestCertificate): void => {
    mkdirSync(join(folder, generation));
    put(join(folder, generation), certificate);
    symlinkSync(generation, join(folder, "..data_tmp"));
    renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
  };
  swap("..2026_01_01", first);
  for (const name of ["tls.crt", "tls.key"]) symlinkSync(join("..data", name), join(folder, name));
  const device = new Device(filesIn(folder));
  expect(await device.connect()).toBe("one");
  for (const [generation, certificate] of [
    ["..2026_02_01", second],
    ["..2026_03_01", third],
  ] as const) {
    const told = device.told();
    swap(generation, certificate);
    await told;
    expect(await device.connect()).toBe(certificate.commonName);
  }
  rmSync(join(folder, "..2026_01_01"), { recursive: true });
  expect(await device.connect()).toBe("three");
});

test("what the file system does not tell is found by looking every pollMs", async () => {
  const folder = newFolder();
  for (const [name, certificate] of [
    ["old", first],
    ["new", second],
  ] as const) {
    mkdirSync(join(folder, name));
    put(join(folder, name), certificate);
  }
  symlinkSync("old", join(folder, "live"));
  // The link is in a folder that holds none of the files.
  const device = new Device({ ...filesIn(join(folder, "live")), pollMs: 100 });
  expect(await device.connect()).toBe("one");
  const told = device.told();
  symlinkSync("new", join(folder, "live_tmp"));
  renameSync(join(folder, "live_tmp"), join(folder, "live"));
  await told;
  expect(await device.connect()).toBe("two");
});

test("however files are written, in whatever order and however far, only what belongs together is presented", async () => {
  const issues = [first, second, third];
  const step = fc.record({
    what: fc.constantFrom("tls.crt", "tls.key", "ca.crt"),
    which: fc.nat(2),
    part: fc.constantFrom(0, 0.3, 0.99, 1, 1, 1),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const folder = newFolder();
      put(folder, first);
      writeFileSync(join(folder, "ca.crt"), first.chain);
      const device = new Device({ ...filesIn(folder), chainFile: join(folder, "ca.crt") });
      const written = { "tls.crt": 0, "tls.key": 0, "ca.crt": 0 };
      let expected = 0;
      expect(await device.connect()).toBe("one");
      for (const { what, which, part } of steps) {
        const issue = issues[which] as TestCertificate;
        const pem = { "tls.crt": issue.cert, "tls.key": issue.key, "ca.crt": issue.chain }[
          what
        ] as string;
        writeFileSync(join(folder, what), pem.slice(0, Math.floor(pem.length * part)));
        written[what as keyof typeof written] = part === 1 ? which : -1;
        const isWhole = written["ca.crt"] >= 0 && written["tls.crt"] >= 0;
        if (isWhole && written["tls.crt"] === written["tls.key"]) expected = written["tls.crt"];
        expect(await device.connect()).toBe(issues[expected]?.commonName);
      }
      device.provider.close?.();
    }),
    { numRuns: runs },
  );
}, 300_000);

test("a certificate the hub refuses is not used again until the files change, and the application is told", async () => {
  const folder = newFolder();
  put(folder, first);
  const device = new Device(filesIn(folder));
  await device.connect();
  put(folder, second);
  const refusal = new IotError("device.refused_not_authorized", "CONNACK 5");
  expect(await device.connect(refusal)).toBe("two");
  expect(device.notices.map(({ code }) => code)).toEqual(["device.rotation_refused"]);
  expect(await device.connect()).toBe("one");
  put(folder, third);
  expect(await device.connect()).toBe("three");
  put(folder, first);
  expect(await device.connect()).toBe("one");
});

test("a certificate that has ended is not presented; new files help without a notice", async () => {
  const folder = newFolder();
  const day = 86_400_000;
  const old = await certificates.issue({
    cn: "old",
    notBefore: new Date(Date.now() - 2 * day),
    notAfter: new Date(Date.now() - day),
  });
  put(folder, old);
  const device = new Device(filesIn(folder));
  await expect(device.present()).rejects.toMatchObject({
    code: "device.certificate_expired",
    message: expect.stringContaining("CN=old") as string,
  });
  put(folder, first);
  expect(await device.connect()).toBe("one");
});

test("an ended certificate in new files is not changed to", async () => {
  const folder = newFolder();
  put(folder, first);
  const device = new Device(filesIn(folder));
  await device.connect();
  const ended = await certificates.issue({ cn: "ended", notAfter: new Date(Date.now() - 1_000) });
  put(folder, ended);
  expect(await device.connect()).toBe("one");
  expect(device.notices).toMatchObject([
    { code: "device.rotation_refused", cause: { code: "device.certificate_expired" } },
  ]);
});

test("files that are missing or no PEM are told at the first connection; later the old certificate goes on", async () => {
  const folder = newFolder();
  const files = filesIn(folder);
  await expect(new Device(files).present()).rejects.toMatchObject({
    code: "device.certificate_unreadable",
    retryable: false,
  });
  put(folder, first);
  writeFileSync(files.certFile, "not PEM");
  await expect(new Device(files).present()).rejects.toMatchObject({
    code: "device.certificate_unreadable",
  });
  put(folder, first);
  writeFileSync(files.keyFile, second.key);
  const refused = await new Device(files).present().catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "device.certificate_mismatch", retryable: true });
  put(folder, first);
  const device = new Device(files);
  await device.connect();
  unlinkSync(files.keyFile);
  expect(await device.connect()).toBe("one");
  truncateSync(files.certFile, 300_000);
  expect(await device.connect()).toBe("one");
});

test("a folder in which something happens all the time does not put the look at the files off", async () => {
  const folder = newFolder();
  put(folder, first);
  const device = new Device(filesIn(folder));
  await device.connect();
  const told = device.told();
  put(folder, second);
  // More often than the watcher waits for quiet.
  const busy = setInterval(() => writeFileSync(join(folder, "log"), String(Math.random())), 10);
  try {
    await told;
  } finally {
    clearInterval(busy);
  }
  expect(await device.connect()).toBe("two");
});

test("closing stops watching", async () => {
  const folder = newFolder();
  put(folder, first);
  const [closed, other] = [new Device(filesIn(folder)), new Device(filesIn(folder))];
  expect([await closed.connect(), await other.connect()]).toEqual(["one", "one"]);
  closed.provider.close?.();
  const told = other.told();
  put(folder, second);
  await told;
  expect([closed.changes, other.changes]).toEqual([0, 1]);
});
