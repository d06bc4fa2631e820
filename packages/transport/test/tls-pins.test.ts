import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DialAttempt, publicKeyPin, tlsDialer, TlsSockets } from "@hubwire/transport";
import type { PinOptions, PinReport } from "@hubwire/transport";
import { expect, test, vi } from "vitest";
import { Pins } from "../src/tls-pins.ts";
import { certificates, cleanUp, noSignal, startServer } from "./tls-world.ts";
import type { TestServer } from "./tls-world.ts";

const { root, server } = certificates;
const ca = root.cert;
const middle = await certificates.ca({ cn: "Middle CA", issuer: root });
const chained = await certificates.issue({ cn: "hub", san: ["127.0.0.1"], issuer: middle });
const stranger = await certificates.ca({ cn: "Stranger CA" });

const dayMs = 86_400_000;
const strangerPin = publicKeyPin(stranger.cert);

test("a pin is what openssl computes", () => {
  const der = execFileSync("openssl", ["x509", "-pubkey", "-noout"], { input: root.cert });
  const spki = execFileSync("openssl", ["pkey", "-pubin", "-outform", "der"], { input: der });
  const hash = execFileSync("openssl", ["dgst", "-sha256", "-binary"], { input: spki });
  expect(publicKeyPin(root.cert)).toBe(hash.toString("base64"));
  expect(publicKeyPin(root.raw)).toBe(hash.toString("base64"));
});

const matching = [
  { name: "the root, which the server does not send", sha256: [publicKeyPin(root.cert)] },
  { name: "an intermediate", sha256: [publicKeyPin(middle.cert)] },
  { name: "the second of several", sha256: [strangerPin, publicKeyPin(root.cert)] },
];
test.each(matching)("a chain with $name among the pins is taken", async ({ sha256 }) => {
  const { port } = await startServer({ identity: chained });
  await connect(port, { sha256, onReport: fail });
});

test("a valid chain without any of the pins is refused, and the error names what was presented", async () => {
  const { port, accepted } = await startServer({ identity: chained });
  const error: unknown = await connect(port, {
    sha256: [strangerPin],
    onReport: () => undefined,
  }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "transport.tls_pin", retryable: false });
  const { message } = error as Error;
  for (const certificate of [chained, middle, root]) {
    expect(message).toContain(`${publicKeyPin(certificate.cert)} (CN=${certificate.commonName})`);
  }
  expect(message).not.toContain(strangerPin);
  for (const one of accepted) expect(one.text).toBe("");
});

test("report mode connects all the same, and tells host, port and chain", async () => {
  const { port } = await startServer({ identity: chained });
  const reports: PinReport[] = [];
  const onReport = (report: PinReport): void => void reports.push(report);
  await connect(port, { sha256: [strangerPin], mode: "report", onReport });
  const presented = [chained, middle, root].map(({ commonName, cert }) => ({
    subject: `CN=${commonName}`,
    sha256: publicKeyPin(cert),
  }));
  const host = "127.0.0.1";
  expect(reports).toEqual([{ kind: "mismatch", host, port, presented, enforced: false }]);
});

test("pins do not make up for a certificate that is not trusted", async () => {
  const identity = await certificates.issue({ cn: "x", san: ["127.0.0.1"], issuer: stranger });
  const { port } = await startServer({ identity });
  const outcome = connect(port, { sha256: [strangerPin, publicKeyPin(identity.cert)] });
  await expect(outcome).rejects.toMatchObject({ code: "transport.tls_untrusted" });
});

test("without a listener a mismatch in report mode is a process warning", async () => {
  const { port } = await startServer({ identity: chained });
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  try {
    await connect(port, { sha256: [strangerPin], mode: "report" });
    const [[text, kind]] = warned.mock.calls as unknown as [[string, string]];
    expect([text, kind]).toEqual([
      expect.stringContaining(publicKeyPin(root.cert)),
      "HubwireWarning",
    ]);
  } finally {
    warned.mockRestore();
  }
});

test.each(["TLSv1.2", "TLSv1.3"] as const)(
  "a session that pins refused is not resumed; one they took is (%s)",
  async (maxVersion) => {
    const open = async (sockets: TlsSockets, listening: TestServer): Promise<boolean> => {
      const target = { host: "127.0.0.1", port: listening.port, identity: undefined };
      const attempt = new DialAttempt(target, 10_000, noSignal);
      try {
        const socket = cleanUp(await sockets.open(attempt));
        const { stream } = await listening.nextStream();
        // TLS 1.3 brings its ticket with the first bytes, and Node tells of it after them.
        stream.write(Buffer.from("x"));
        await new Promise((resolve) => socket.once("data", () => setImmediate(resolve)));
        return socket.isSessionReused();
      } finally {
        attempt.done();
      }
    };
    const refusing = new TlsSockets({
      ca,
      maxVersion,
      pins: { sha256: [strangerPin], onReport: () => undefined },
    });
    const first = await startServer({ identity: chained });
    for (let round = 0; round < 3; round++) {
      await expect(open(refusing, first)).rejects.toMatchObject({ code: "transport.tls_pin" });
    }
    const taking = new TlsSockets({ ca, maxVersion, pins: { sha256: [publicKeyPin(root.cert)] } });
    const second = await startServer({ identity: chained });
    expect(await open(taking, second)).toBe(false);
    expect(await open(taking, second)).toBe(true);
  },
);

test("an authority that signed nothing of the chain does not count, whatever it is called", () => {
  // As Node links what a server sends: by names and key ids. The impostor has both right, and a key of its own that is pinned.
  const impostor = namesakeOf(middle.cert);
  expect(new X509Certificate(chained.cert).checkIssued(impostor)).toBe(true);
  const pin = publicKeyPin(impostor.raw);
  const pins = new Pins({ sha256: [pin], onReport: () => undefined });
  const linked = [chained.raw, impostor.raw, middle.raw, root.raw];
  expect(() => pins.check(linked, { host: "hub", port: 1 })).toThrow(/\(CN=hub\)$/);
  const honest = [chained.raw, middle.raw];
  new Pins({ sha256: [publicKeyPin(middle.cert)] }).check(honest, { host: "hub", port: 1 });
});

test("a server that sends a namesake of its authority with a pinned key is refused", async () => {
  const impostor = namesakeOf(middle.cert);
  const fullChain = `${chained.cert}${impostor.toString()}${middle.cert}`;
  const { port } = await startServer({ identity: { ...chained, fullChain } });
  const pins = { sha256: [publicKeyPin(impostor.raw)], onReport: () => undefined };
  await expect(connect(port, pins)).rejects.toMatchObject({
    code: expect.stringMatching(/^transport\.tls_(pin|untrusted)$/) as string,
  });
});

test("pins that are about to end are told once a day from 30 days before; they stay in force after it", () => {
  vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) });
  try {
    const expiresAt = new Date(Date.now() + 40 * dayMs);
    const reports: PinReport[] = [];
    const pins = new Pins({
      sha256: [publicKeyPin(chained.cert)],
      expiresAt,
      onReport: (report) => reports.push(report),
    });
    const check = (): void => pins.check([chained.raw], { host: "h", port: 1 });
    check();
    expect(reports).toEqual([]);
    vi.setSystemTime(expiresAt.getTime() - 30 * dayMs);
    check();
    check();
    expect(reports).toEqual([{ kind: "expiring", expiresAt }]);
    vi.setSystemTime(expiresAt.getTime() - 29 * dayMs);
    check();
    expect(reports.length).toBe(2);
    vi.setSystemTime(expiresAt.getTime() + 365 * dayMs);
    check();
    expect(reports.at(-1)).toEqual({ kind: "expired", expiresAt });
    expect(() => pins.check([server.raw], { host: "h", port: 1 })).toThrow(/none of the pinned/);
  } finally {
    vi.useRealTimers();
  }
});

const mistakes = [
  [{ sha256: [] }, /at least one/],
  [{ sha256: ["abc"] }, /not "abc"/],
  [{ sha256: ["A".repeat(64)] }, /44 characters/],
  // 43 characters that decode to 32 bytes and do not encode back.
  [{ sha256: [`${"A".repeat(42)}B=`] }, /base64 of 32 bytes/],
  [{ sha256: [strangerPin], mode: "off" }, /enforce or report, not off/],
  [{ sha256: [strangerPin], expiresAt: new Date("never") }, /not a date/],
] as const;
test.each(mistakes)("pins that cannot be meant are refused: %j", (pins, says) => {
  expect(() => tlsDialer({ ca, pins: pins as unknown as PinOptions })).toThrow(says);
});

async function connect(port: number, pins: PinOptions): Promise<void> {
  const dial = tlsDialer({ ca, pins });
  cleanUp(await dial({ host: "127.0.0.1", port, identity: undefined }, noSignal));
}

function fail(): never {
  throw new Error("there was nothing to report");
}

/** Another authority with the same name and the same key id. */
function namesakeOf(pem: string): X509Certificate {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-pins-"));
  const openssl = (args: string, input = ""): string =>
    execFileSync("openssl", args.split(" "), { input, cwd: folder, stdio: "pipe" }).toString();
  try {
    const [keyId = ""] =
      /[0-9A-F:]{59}/.exec(openssl("x509 -noout -ext subjectKeyIdentifier", pem)) ?? [];
    const { subject } = new X509Certificate(pem);
    openssl("ecparam -name prime256v1 -genkey -noout -out key.pem");
    const lines = ["[req]", "distinguished_name=dn", "x509_extensions=ext", "prompt=no", "[dn]"];
    lines.push(
      subject,
      "[ext]",
      "basicConstraints=critical,CA:true",
      `subjectKeyIdentifier=${keyId}`,
    );
    writeFileSync(join(folder, "request.cnf"), `${lines.join("\n")}\n`);
    return new X509Certificate(openssl("req -x509 -key key.pem -days 3 -config request.cnf"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
