import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { IotError } from "@hubwire/protocol";
import { DialAttempt, tlsDialer, TlsSockets } from "@hubwire/transport";
import type { TlsDial, TlsDialerOptions } from "@hubwire/transport";
import { expect, test } from "vitest";
import { Collector } from "./collector.ts";
import { startProxy } from "./scripted-proxy.ts";
import type { ScriptedProxy } from "./scripted-proxy.ts";
import { certificates, cleanUp, noSignal, startServer } from "./tls-world.ts";

const ca = certificates.root.cert;
const password = "proxy-password-1";
const connected = "HTTP/1.1 200 Connection established\r\n\r\n";
const socksLines = [Uint8Array.of(5, 0), Uint8Array.of(5, 0, 0, 1, 127, 0, 0, 1, 0, 1)];

/** The name is one that only the proxy could resolve. */
const target = { host: "one.hub.localhost", port: 8883, identity: undefined };

const kinds = [
  { scheme: "http", lines: [connected], identity: undefined },
  { scheme: "https", lines: [connected], identity: certificates.server },
  { scheme: "socks5", lines: socksLines, identity: undefined },
];

test.each(kinds)(
  "TLS to the hub through a $scheme proxy: bytes go both ways, and the hub's name is checked",
  async ({ scheme, lines, identity }) => {
    const server = await startServer();
    const proxy = await startProxy({ lines, tunnelTo: server.port, ...(identity && { identity }) });
    const dial = tlsDialer({ ca, proxy: `${scheme}://localhost:${proxy.port}` });
    const client = new Collector(cleanUp(await dial(target, noSignal)));
    const hub = await server.nextStream();
    expect(hub.stream.peer.serverName).toBe(target.host);
    expect(client.stream.peer.serverName).toBe(target.host);
    client.stream.write(Buffer.from("there"));
    await hub.until(() => hub.text === "there");
    const large = Buffer.alloc(300_000, "back ");
    hub.stream.write(large);
    await client.until(() => client.receivedBytes === large.length);
    expect(client.text).toBe(large.toString());
    client.stream.end();
    expect(await hub.end()).toBeUndefined();
    const other = { ...target, host: "hub.example" };
    await expect(dial(other, noSignal)).rejects.toMatchObject({
      code: "transport.tls_name_mismatch",
    });
  },
);

test.each(kinds)(
  "a client certificate goes to the hub through a $scheme proxy, and never to the proxy",
  async ({ scheme, lines, identity }) => {
    const server = await startServer();
    const proxy = await startProxy({ lines, tunnelTo: server.port, ...(identity && { identity }) });
    const device = await certificates.issue({ cn: "dev1" });
    const dial = tlsDialer({ ca, proxy: `${scheme}://localhost:${proxy.port}` });
    const { cert, key } = device;
    cleanUp(await dial({ ...target, identity: { cert, key } }, noSignal));
    const { stream } = await server.nextStream();
    expect(stream.peer.certificate?.commonName).toBe("dev1");
  },
);

test.each(["TLSv1.2", "TLSv1.3"] as const)(
  "sessions are resumed through a proxy too, with %s",
  async (maxVersion) => {
    const server = await startServer();
    const proxy = await startProxy({ lines: [connected], tunnelTo: server.port });
    const sockets = new TlsSockets({ ca, maxVersion, proxy: `http://localhost:${proxy.port}` });
    for (const isReused of [false, true]) {
      const attempt = new DialAttempt(target, 10_000, noSignal);
      const socket = cleanUp(await sockets.open(attempt));
      attempt.done();
      expect(socket.isSessionReused()).toBe(isReused);
      const { stream } = await server.nextStream();
      // TLS 1.3 brings its ticket with the first bytes, and Node tells of it after them.
      stream.write(Buffer.from("x"));
      await new Promise((resolve) => socket.once("data", () => setImmediate(resolve)));
    }
  },
);

const refusals = [
  {
    name: "407 with credentials",
    scheme: "http",
    lines: ["HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=x\r\n\r\n"],
    code: "transport.proxy_auth",
    says: /^the http proxy localhost:\d+ refused the user name and password, sent as Basic \(it offers Digest\)$/,
    retryable: false,
  },
  {
    name: "403",
    scheme: "http",
    lines: ["HTTP/1.1 403 Filtered\r\n\r\n"],
    code: "transport.proxy_refused",
    says: /does not connect to one\.hub\.localhost:8883: it answered 403 Filtered$/,
    retryable: true,
  },
  {
    name: "a wrong SOCKS password",
    scheme: "socks5",
    lines: [Uint8Array.of(5, 2), Uint8Array.of(1, 1)],
    code: "transport.proxy_auth",
    says: /^the socks5 proxy localhost:\d+ refused the user name and password/,
    retryable: false,
  },
  {
    name: "a SOCKS proxy that cannot connect",
    scheme: "socks5",
    lines: [Uint8Array.of(5, 0), Uint8Array.of(5, 4, 0, 1, 0, 0, 0, 0, 0, 0)],
    code: "transport.proxy_refused",
    says: /host unreachable, or its name unknown to the proxy \(reply 4\)$/,
    retryable: true,
  },
  {
    name: "the wrong kind of proxy",
    scheme: "socks5",
    lines: ["HTTP/1.1 400 Bad Request\r\n\r\n"],
    code: "transport.proxy_protocol",
    says: /does not answer in SOCKS5/,
    retryable: false,
  },
];
test.each(refusals)(
  "$name: $code, and the password is nowhere in it",
  async ({ scheme, lines, code, says, retryable }) => {
    const proxy = await startProxy({ lines });
    const url = `${scheme}://device:${password}@localhost:${proxy.port}`;
    const error = await failureOf({ proxy: url });
    expect(error).toMatchObject({ code, retryable });
    expect(error.message).toMatch(says);
    // The proxy hears that it is over.
    await proxy.closed;
  },
);

test.each([{ lines: [] }, { lines: ["HTTP/1.1 2"] }])(
  "a proxy that hangs up instead of answering is named: %j",
  async ({ lines }) => {
    const proxy = await startProxy({ lines, hangsUp: true });
    const error = await failureOf({ proxy: `http://d:${password}@localhost:${proxy.port}` });
    expect(error.code).toBe("transport.proxy_refused");
    expect(error.message).toMatch(/closed the connection instead of answering|cut the connection/);
  },
);

test.each(["http", "socks5"])(
  "a %s proxy that never answers costs one deadline",
  async (scheme) => {
    const proxy = await startProxy({ lines: [] });
    const url = `${scheme}://d:${password}@localhost:${proxy.port}`;
    const error = await failureOf({ proxy: url, timeoutMs: 200 });
    expect(error.code).toBe("transport.proxy_timeout");
    expect(error.message).toMatch(
      /^no connection to one\.hub\.localhost:8883 through the \w+ proxy localhost:\d+ within 200 ms: still in the proxy's handshake$/,
    );
    await proxy.closed;
  },
);

test("a tunnel that leads nowhere costs the same deadline, and says that the proxy had answered", async () => {
  const proxy = await startProxy({ lines: [connected] });
  const error = await failureOf({ proxy: `http://localhost:${proxy.port}`, timeoutMs: 500 });
  expect(error.code).toBe("transport.timeout");
  expect(error.message).toMatch(/through the http proxy .* still in the TLS handshake$/);
});

test("a proxy that cuts the tunnel during the TLS handshake", async () => {
  const proxy = await startProxy({ lines: [connected], hangsUp: true });
  const error = await failureOf({ proxy: `http://localhost:${proxy.port}` });
  expect(error.code).toBe("transport.reset");
  expect(error.message).toMatch(
    /through the http proxy localhost:\d+ closed the connection during the TLS handshake/,
  );
});

test.each(kinds)(
  "whatever ends the stream closes the connection to the $scheme proxy as well",
  async ({ scheme, lines, identity }) => {
    const server = await startServer();
    const start = (): Promise<ScriptedProxy> =>
      startProxy({ lines, tunnelTo: server.port, ...(identity && { identity }) });
    const dialThrough = (port: number): TlsDial =>
      tlsDialer({ ca, proxy: `${scheme}://localhost:${port}` });
    const first = await start();
    const stream = await dialThrough(first.port)(target, noSignal);
    stream.destroy();
    await first.closed;
    const second = await start();
    const other = { ...target, host: "hub.example" };
    await expect(dialThrough(second.port)(other, noSignal)).rejects.toThrow("is not for");
    await second.closed;
  },
);

test("an abort in the middle of the proxy's handshake ends it and closes the socket", async () => {
  const proxy = await startProxy({ lines: [] });
  const controller = new AbortController();
  const dial = tlsDialer({ ca, proxy: `http://localhost:${proxy.port}` });
  const outcome = dial(target, controller.signal).catch((error: unknown) => error);
  await expect.poll(() => proxy.said.length).toBe(1);
  controller.abort(new Error("enough"));
  expect(await outcome).toMatchObject({ code: "call.aborted" });
  await proxy.closed;
});

test("a proxy that is not there, by address and by name", async () => {
  const port = await freePort();
  const refused = await failureOf({ proxy: `http://d:${password}@127.0.0.1:${port}` });
  expect(refused.code).toBe("transport.proxy_unreachable");
  expect(refused.message).toMatch(
    /^the http proxy 127\.0\.0\.1:\d+ cannot be reached: .*ECONNREFUSED/,
  );
  const unknown = await failureOf({ proxy: "socks5://no-such-proxy.invalid" });
  expect(unknown.code).toBe("transport.proxy_unreachable");
  expect(unknown.message).toContain("no-such-proxy.invalid");
});

test("an https proxy that is not trusted keeps the code of that, and names itself", async () => {
  const stranger = await certificates.ca({ cn: "Stranger CA" });
  const identity = await certificates.issue({ cn: "p", san: ["127.0.0.1"], issuer: stranger });
  const proxy = await startProxy({ lines: [connected], identity });
  const error = await failureOf({ proxy: `https://127.0.0.1:${proxy.port}` });
  expect(error.code).toBe("transport.tls_untrusted");
  expect(error.message).toContain(`127.0.0.1:${proxy.port}`);
});

async function failureOf(options: TlsDialerOptions): Promise<IotError> {
  const outcome: unknown = await tlsDialer({ ca, ...options })(target, noSignal).catch(
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(IotError);
  expect(inspect(outcome, { depth: 9, showHidden: true })).not.toContain(password);
  return outcome as IotError;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
