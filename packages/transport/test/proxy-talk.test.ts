import { inspect } from "node:util";
import fc from "fast-check";
import { IotError } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { HttpConnect } from "../src/proxy/http-connect.ts";
import { parseProxy } from "../src/proxy/proxy-address.ts";
import type { ProxyAddress } from "../src/proxy/proxy-address.ts";
import type { ProxyTalk } from "../src/proxy/proxy-talk.ts";
import { SocksConnect } from "../src/proxy/socks.ts";
import vectors from "../../../vectors/proxy-handshakes.json" with { type: "json" };

type Credentials = { username: string; password: string };
type HttpCase = {
  name: string;
  answer: string;
  outcome: string;
  says?: string;
  credentials?: Credentials;
};
type SocksCase = {
  name: string;
  host: string;
  says_hello: string;
  exchanges: { answer: string; writes: string }[];
  outcome: string;
  says?: string;
  credentials?: Credentials;
};

const target = { host: "hub.example", port: 8883 };
const proxyOf = (kind: ProxyAddress["kind"], credentials?: Credentials): ProxyAddress => ({
  kind,
  host: "proxy.example",
  port: 3128,
  credentials,
});

/** How a talk ends that gets these bytes: "open", "wait", or its error. */
function outcomeOf(talk: ProxyTalk, chunks: readonly Uint8Array[]): string | IotError {
  try {
    let last = "wait";
    for (const chunk of chunks) last = talk.receive(chunk).type;
    return last;
  } catch (error) {
    expect(error).toBeInstanceOf(IotError);
    return error as IotError;
  }
}

function expectOutcome(actual: string | IotError, expected: string, says = ""): void {
  if (!(actual instanceof IotError)) return expect(actual).toBe(expected);
  expect(actual.code).toBe(expected);
  expect(actual.message).toMatch(new RegExp(says));
  expect(actual.message).toContain("proxy.example:3128");
  expect(inspect(actual)).not.toContain("proxy-password-1");
}

test.each(vectors.http as HttpCase[])("HTTP CONNECT: $name", ({ answer, ...rest }) => {
  const { outcome, says, credentials } = rest;
  const bytes = Buffer.from(answer, "latin1");
  const make = (): HttpConnect => new HttpConnect(proxyOf("http", credentials), target);
  expectOutcome(outcomeOf(make(), [bytes]), outcome, says);
  if (outcome === "transport.proxy_protocol") return;
  // In pieces of one byte: bytes behind the head of a refusal are not waited for.
  const head = bytes.subarray(0, bytes.indexOf("\r\n\r\n") + 4);
  const pieces = [...head].map((byte) => Uint8Array.of(byte));
  expectOutcome(outcomeOf(make(), pieces), outcome, says);
});

test("the request names the target, and carries Basic credentials (RFC 7617) only when there are any", () => {
  const said = (proxy: ProxyAddress, to = target): string =>
    Buffer.from(new HttpConnect(proxy, to).hello()).toString();
  expect(said(proxyOf("http"))).toBe(
    "CONNECT hub.example:8883 HTTP/1.1\r\nHost: hub.example:8883\r\n\r\n",
  );
  // The pair of RFC 7617 §2.1.
  const credentials = { username: "test", password: "123£" };
  expect(said(proxyOf("http", credentials))).toContain(
    "\r\nProxy-Authorization: Basic dGVzdDoxMjPCow==\r\n\r\n",
  );
  expect(said(proxyOf("http"), { host: "2001:db8::7", port: 443 })).toContain(
    "CONNECT [2001:db8::7]:443 HTTP/1.1\r\n",
  );
});

test("a head without end is given up at 16 KiB, however it comes", () => {
  const endless = Buffer.from(`HTTP/1.1 200 OK\r\nX: ${"y".repeat(20_000)}`);
  const chunks = Array.from({ length: 201 }, (_, n) => endless.subarray(n * 100, n * 100 + 100));
  for (const pieces of [[endless], chunks]) {
    const talk = new HttpConnect(proxyOf("http"), target);
    expectOutcome(outcomeOf(talk, pieces), "transport.proxy_protocol", "more than 16384 bytes");
  }
});

test.each(vectors.socks5 as SocksCase[])("SOCKS5: $name", (one) => {
  const make = (): SocksConnect =>
    new SocksConnect(proxyOf("socks5", one.credentials), { host: one.host, port: 8883 });
  const whole = make();
  expect(hex(whole.hello())).toBe(one.says_hello);
  for (const [index, { answer, writes }] of one.exchanges.entries()) {
    const isLast = index === one.exchanges.length - 1;
    if (isLast) {
      expectOutcome(outcomeOf(whole, [Buffer.from(answer, "hex")]), one.outcome, one.says);
    } else {
      expect(whole.receive(Buffer.from(answer, "hex"))).toEqual({
        type: "write",
        bytes: Uint8Array.from(Buffer.from(writes, "hex")),
      });
    }
  }
  if (one.outcome === "transport.proxy_protocol") return;
  const bytes = one.exchanges.flatMap(({ answer }) => [...Buffer.from(answer, "hex")]);
  const pieces = bytes.map((byte) => Uint8Array.of(byte));
  expectOutcome(outcomeOf(make(), pieces), one.outcome, one.says);
});

test.each(vectors.socks5_replies)("SOCKS5 reply $reply is named: $says", ({ reply, says }) => {
  const talk = new SocksConnect(proxyOf("socks5"), target);
  talk.receive(Uint8Array.of(5, 0));
  const words = `does not connect to hub\\.example:8883: .*${says}.*\\(reply ${reply}\\)`;
  const outcome = outcomeOf(talk, [Uint8Array.of(5, reply, 0, 1)]);
  expectOutcome(outcome, "transport.proxy_refused", words);
});

test("IPv6 addresses in every way of writing are the sixteen bytes they mean", () => {
  fc.assert(
    fc.property(fc.ipV6(), (host) => {
      const talk = new SocksConnect(proxyOf("socks5"), { host, port: 1 });
      const step = talk.receive(Uint8Array.of(5, 0));
      expect(step.type).toBe("write");
      const { bytes } = step as { bytes: Uint8Array };
      expect([...bytes.subarray(0, 4)]).toEqual([5, 1, 0, 4]);
      expect(bytes.length).toBe(22);
      const groups = Array.from({ length: 8 }, (_, n) => hex(bytes.subarray(4 + 2 * n, 6 + 2 * n)));
      expect(new URL(`http://[${groups.join(":")}]`).hostname).toBe(
        new URL(`http://[${host}]`).hostname,
      );
    }),
    { numRuns: 200 },
  );
});

test("any bytes from a proxy end in an answer, in waiting or in an error that is named", () => {
  const anyChunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 10 });
  fc.assert(
    fc.property(anyChunks, fc.boolean(), (chunks, isSocks) => {
      const credentials = { username: "dev", password: "proxy-password-1" };
      const talk = isSocks
        ? new SocksConnect(proxyOf("socks5", credentials), target)
        : new HttpConnect(proxyOf("http", credentials), target);
      const outcome = outcomeOf(talk, chunks);
      if (outcome instanceof IotError) expect(outcome.code).toMatch(/^transport\.proxy_/);
    }),
    { numRuns: 500 },
  );
});

test("a host name too long for SOCKS is the caller's mistake", () => {
  const long = { host: "a".repeat(256), port: 1 };
  expect(() => new SocksConnect(proxyOf("socks5"), long)).toThrow("at most 255 bytes");
});

const addresses = [
  ["http://proxy.example:3128", { kind: "http", host: "proxy.example", port: 3128 }],
  ["http://proxy.example", { kind: "http", port: 80 }],
  ["https://proxy.example/", { kind: "https", port: 443 }],
  ["socks5://[2001:db8::1]", { kind: "socks5", host: "2001:db8::1", port: 1080 }],
  ["socks5h://10.0.0.1:9050", { kind: "socks5", host: "10.0.0.1", port: 9050 }],
  [
    "http://dev%40home:p%3Aw%2F@proxy.example:8080",
    { credentials: { username: "dev@home", password: "p:w/" } },
  ],
  [
    { url: "socks5://old:older@proxy.example", username: "new", password: "newer" },
    { credentials: { username: "new", password: "newer" } },
  ],
] as const;
test.each(addresses)("a proxy option as people write it: %j", (option, expected) => {
  expect(parseProxy(option)).toMatchObject(expected);
});

const mistakes = [
  ["proxy.example:3128", /begins with http:\/\/, https:\/\/ or socks5:\/\//],
  ["ftp://proxy.example", /not ftp:/],
  ["socks4://proxy.example", /not socks4:/],
  ["http://proxy.example/path", /without path/],
  ["http://user:secret-1@proxy.example:99999", /is a URL such as/],
  ["http://user:secret-1%zz@proxy.example", /percent-encoded/],
  ["http://:secret-1@proxy.example", /password and no user name/],
  ["socks5://user@proxy.example", /1 to 255 bytes/],
  [{ url: "socks5://p.example", username: "u", password: "secret-1".repeat(40) }, /1 to 255/],
  [{ url: "http://p.example", username: "a:b", password: "secret-1" }, /colon/],
  [17, /is a URL/],
] as const;
test.each(mistakes)(
  "a proxy option that cannot be used is named, never quoted: %#",
  (...mistake) => {
    const [option, says] = mistake;
    const error = caught(() => parseProxy(option as string));
    expect(error).toMatchObject({ code: "argument.invalid" });
    expect(error.message).toMatch(says);
    expect(inspect(error, { depth: 9 })).not.toContain("secret-1");
  },
);

function caught(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
