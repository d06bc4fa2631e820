import { expect, test } from "vitest";
import { runInNamespace } from "../support/namespace.ts";

type Failure = { code: string; message: string };
type Seen = {
  rounds: Record<string, object>;
  failures: Record<string, Failure>;
  logs: [open: string, narrow: string, socks: string, socksOpen: string];
};

test("a device's round through tinyproxy and microsocks, over TLS and over WebSocket, and every refusal by name", async () => {
  const { code, stdout, stderr } = await runInNamespace("test/conformance/proxies.scenario.ts", {
    timeoutMs: 100_000,
  });
  expect(code, stderr).toBe(0);
  const { rounds, failures, logs } = JSON.parse(stdout) as Seen;

  const whole = { stored: true, received: "open the window", version: 2 };
  const overTls = { ...whole, overWebSocket: 0 };
  const overWebSocket = { ...whole, overWebSocket: 1 };
  expect(rounds).toEqual({
    "tls-http": overTls,
    "tls-http-url": overTls,
    "tls-socks": overTls,
    "tls-socks-open": overTls,
    ws: overWebSocket,
    "ws-http": overWebSocket,
    "ws-socks": overWebSocket,
    "auto-direct": overTls,
    "auto-narrow": overWebSocket,
  });

  const through = (words: string): RegExp =>
    new RegExp(words.replaceAll(".", String.raw`\.`).replaceAll("…", ".*"));
  expect(failures).toEqual({
    none: {
      code: "transport.proxy_auth",
      message: "the http proxy 127.0.0.1:8888 wants a user name and a password (it offers Basic)",
    },
    wrong: {
      code: "transport.proxy_auth",
      message: expect.stringMatching(through("the http proxy 127.0.0.1:8888 refused")) as string,
    },
    "socks-none": {
      code: "transport.proxy_auth",
      message: expect.stringMatching(through("the socks5 proxy 127.0.0.1:1080 wants")) as string,
    },
    "socks-wrong": {
      code: "transport.proxy_auth",
      message: expect.stringMatching(through("refused the user name and password")) as string,
    },
    narrow: {
      code: "transport.proxy_refused",
      message: expect.stringMatching(through("127.0.0.1:8889 … localhost:8883: …403")) as string,
    },
    "shut-port": {
      code: "transport.proxy_refused",
      message: expect.stringMatching(through("localhost:9: connection refused")) as string,
    },
    "kinds-mixed-up": {
      code: "transport.proxy_protocol",
      message: "the http proxy 127.0.0.1:1081 does not answer in HTTP",
    },
  });

  const [open, narrow, socks, socksOpen] = logs;
  for (const [log, target] of [
    [open, /CONNECT localhost:8883/],
    [open, /CONNECT localhost:443/],
    [narrow, /CONNECT localhost:443/],
    [socks, /connected to localhost:8883/],
    [socks, /connected to localhost:443/],
    [socksOpen, /connected to localhost:8883/],
  ] as const) {
    expect(log).toMatch(target);
  }
}, 120_000);
