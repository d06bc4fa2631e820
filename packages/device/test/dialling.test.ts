import { inspect } from "node:util";
import { connect, publicKeyPin } from "@hubwire/device";
import type { ConnectOptions, PinOptions, Transport } from "@hubwire/device";
import { testCertificates } from "@hubwire/testkit";
import { VirtualClock } from "@hubwire/transport";
import type { DialerOptions, DialTarget } from "@hubwire/transport";
import { expect, test, vi } from "vitest";
import { diallerOf } from "../src/options/dialling.ts";
import { resolveOptions } from "../src/options/resolve.ts";

const key = "MDEyMzQ1Njc4OTAxMjM0NTY3";
const connectionString = `HostName=hub.example;DeviceId=dev1;SharedAccessKey=${key}`;
const certificates = await testCertificates();
const { root } = certificates;
const clock = new VirtualClock();
const target: DialTarget = { host: "hub.example", port: 8883, identity: undefined };
const { signal } = new AbortController();

/** A transport of another package that writes down what it is asked for. */
function recording(kind: Transport["kind"]): Transport & { given: DialerOptions[] } {
  const given: DialerOptions[] = [];
  return {
    kind,
    given,
    dialer: (options) => {
      given.push(options);
      const dial = (): Promise<never> => Promise.reject(new Error("dialled"));
      return Object.assign(dial, { check: () => undefined });
    },
  };
}

test("a transport of another package gets what was said about trust, proxy and time", () => {
  const transport = recording("websocket");
  const pins: PinOptions = { sha256: [publicKeyPin(root.cert)], mode: "report" };
  const proxy = { url: "http://proxy.example:3128", username: "dev", password: "pw" };
  const onServerTime = (): void => undefined;
  diallerOf(
    { transport, pins, proxy, ca: Buffer.from(root.cert), port: 444 },
    { clock, attemptTimeoutMs: 20_000, onServerTime },
  );
  expect(transport.given).toEqual([
    { clock, timeoutMs: 18_000, ca: [root.cert], pins, proxy, port: 444, onServerTime },
  ]);
});

test("the port is that of MQTT over TLS for a transport that has both", () => {
  const transport = recording("auto");
  diallerOf({ transport, port: 8884 }, { clock, attemptTimeoutMs: 20_000 });
  expect(transport.given).toEqual([{ clock, timeoutMs: 18_000 }]);
});

test("openStream wins over everything that says how to dial", async () => {
  const transport = recording("websocket");
  const openStream = (): Promise<never> => Promise.reject(new Error("openStream"));
  const dial = diallerOf({ transport, openStream }, { clock, attemptTimeoutMs: 20_000 });
  await expect(dial(target, signal)).rejects.toThrow("openStream");
  expect(transport.given).toEqual([]);
});

const mistakes = [
  [{ transport: "ws" }, "argument.invalid", /transport is "tls", "auto" or webSocket\(\)/],
  [{ transport: {} }, "argument.invalid", /transport is/],
  [{ proxy: "proxy.example:3128" }, "argument.invalid", /begins with http:/],
  [{ proxy: "http://u:pw-12345@" }, "argument.invalid", /is a URL/],
  [{ pins: { sha256: ["x"] } }, "argument.invalid", /base64 of 32 bytes/],
  [{ ca: "no certificate" }, "transport.tls_credentials", /not the PEM/],
  [{ transport: "auto", ca: "no certificate" }, "transport.tls_credentials", /not the PEM/],
] as const;
test.each(mistakes)(
  "said wrongly, it is told before anything is dialled: %j",
  (options, ...rest) => {
    const [code, says] = rest;
    const given = { connectionString, ...options } as unknown as ConnectOptions;
    let error: unknown;
    try {
      resolveOptions(given);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code });
    expect((error as Error).message).toMatch(says);
    expect(inspect(error, { depth: 9 })).not.toContain("pw-12345");
  },
);

test("a certificate that cannot be used is told at once, also when the transport is loaded later", () => {
  const other = root;
  const certificate = { cert: certificates.server.cert, key: other.key };
  for (const transport of ["tls", "auto"] as const) {
    const x509 = "HostName=hub.example;DeviceId=dev1;x509=true";
    expect(() => resolveOptions({ connectionString: x509, certificate, transport })).toThrow(
      "belongs to another certificate",
    );
  }
});

test('"auto" without the other package names it, and what to do', async () => {
  vi.doMock("@hubwire/websocket", () => {
    throw new Error("Cannot find package");
  });
  try {
    const dial = diallerOf({ transport: "auto" }, { clock, attemptTimeoutMs: 20_000 });
    const error: unknown = await dial(target, signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "transport.websocket_missing", retryable: false });
    expect((error as { remedy: string }).remedy).toContain("npm install @hubwire/websocket");
  } finally {
    vi.doUnmock("@hubwire/websocket");
  }
});

test("a proxy's password is in nothing that can be printed", async () => {
  const password = "proxy-password-1";
  const statuses: unknown[] = [];
  const client = await connect({
    connectionString,
    // Nothing listens on port 1.
    proxy: `http://dev:${password}@127.0.0.1:1`,
    waitForConnection: false,
    onStatus: (status) => statuses.push(status),
  });
  try {
    await expect
      .poll(() => client.status())
      .toMatchObject({
        cause: { code: "transport.proxy_unreachable" },
      });
    for (const thing of [client, client.status(), statuses, client.stats()]) {
      expect(inspect(thing, { depth: 12, showHidden: true })).not.toContain(password);
    }
    expect(JSON.stringify([client.status(), statuses])).not.toContain(password);
  } finally {
    await client.close();
  }
});
