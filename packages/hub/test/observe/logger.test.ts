import { catalog, IotError } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { cleanLogger, createLogger } from "../../src/observe/index.ts";
import type { LogFormat, LogLevel } from "../../src/observe/index.ts";

function logging(format: LogFormat, level: LogLevel = "debug") {
  const lines: string[] = [];
  return {
    lines,
    log: createLogger({ level, format, sink: { write: (line) => lines.push(line) } }),
  };
}
const refusal = {
  event: "connect_refused",
  code: "auth.token_expired",
  reason: "The token expired 12 s ago",
  remedy: "Check the clock",
  clientId: "d1",
  address: "127.0.0.1:5",
};

test("JSON lines carry level, time, event, facts and the sentence", () => {
  const { log, lines } = logging("json");
  log.warn(refusal, "A CONNECT was refused");
  const line = JSON.parse(lines[0]!) as Record<string, unknown>;
  expect(line).toMatchObject({ level: "warn", msg: "A CONNECT was refused", ...refusal });
  expect(String(line["time"])).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(lines[0]!.endsWith("\n")).toBe(true);
});

test("lines for people begin with the time, say the reason and what to do", () => {
  const { log, lines } = logging("pretty");
  log.warn(refusal, "A CONNECT was refused");
  expect(lines[0]).toMatch(
    /^\d\d:\d\d:\d\d WARN {2}A CONNECT was refused: The token expired 12 s ago \[auth\.token_expired\] clientId=d1 address=127\.0\.0\.1:5\n {9}what to do: Check the clock\n$/,
  );
});

test.each([
  { level: "debug", expected: ["debug", "info", "warn", "error"] },
  { level: "warn", expected: ["warn", "error"] },
  { level: "silent", expected: [] },
] as const)("level $level lets through $expected", ({ level, expected }) => {
  const { log, lines } = logging("json", level);
  for (const name of ["debug", "info", "warn", "error"] as const) log[name]({}, name);
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(expected);
});

const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA==";
const leaks: { what: string; facts: object; message?: string }[] = [
  { what: "a field named password", facts: { password: secret } },
  { what: "a nested key", facts: { device: { authentication: { primaryKey: secret } } } },
  { what: "a connection string", facts: { text: `HostName=h;SharedAccessKey=${secret}` } },
  {
    what: "a token in an error's text",
    facts: { err: new Error(`bad SharedAccessSignature sr=h&sig=${secret}&se=1`) },
  },
  {
    what: "a token in an error's cause",
    facts: {
      err: new IotError("hub.internal", "x", { cause: new Error(`sig=${secret} is bad`) }),
    },
  },
  { what: "a header", facts: { headers: { Authorization: `Bearer ${secret}` } } },
  { what: "the sentence", facts: {}, message: `got SharedAccessKey=${secret}` },
  {
    what: "a private key",
    facts: { text: `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----` },
  },
  { what: "a payload", facts: { body: new TextEncoder().encode(secret) } },
];
test.each(leaks)("no secret gets into a line through $what", ({ facts, message = "m" }) => {
  for (const format of ["json", "pretty"] as const) {
    const { log, lines } = logging(format);
    log.error(facts, message);
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain(secret);
  }
});

test.each(leaks)("nor into somebody else's logger through $what", ({ facts, message = "m" }) => {
  const lines: string[] = [];
  const keep = (given: object, sentence: string): void =>
    void lines.push(JSON.stringify([given, sentence]));
  cleanLogger({ debug: keep, info: keep, warn: keep, error: keep }).warn(facts, message);
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toContain(secret);
});

test("advice that says what a token looks like is logged as it is written", () => {
  const { log, lines } = logging("json");
  const advice = Object.values(catalog).map(({ remedy }) => remedy);
  for (const remedy of advice) log.warn({ remedy }, "m");
  expect(lines.map((line) => (JSON.parse(line) as { remedy: string }).remedy)).toEqual(advice);
});

test("an IotError keeps its code and remedy; other errors keep their stack", () => {
  const { log, lines } = logging("json");
  log.error({ err: new IotError("store.unavailable", "disk gone") }, "m");
  log.error({ err: new TypeError("oops") }, "m");
  const [known, unknown] = lines.map((line) => (JSON.parse(line) as { err: object }).err);
  expect(known).toMatchObject({ code: "store.unavailable", message: "disk gone" });
  expect(known).not.toHaveProperty("stack");
  expect(unknown).toMatchObject({ name: "TypeError", stack: expect.any(String) as string });
});

test("nobody writes a line of their own into the log by choosing a client id", () => {
  const { log, lines } = logging("pretty");
  log.warn({ clientId: "x\n12:00:00 info  all is well\u001b[31m\u0000" }, "refused");
  expect(lines[0]!.split("\n")).toHaveLength(2);
  expect(lines[0]).toContain(String.raw`x\u000a12:00:00`);
  expect(lines[0]).not.toContain("\u001b");
});

test("a fact that is too long or too deep is cut", () => {
  const { log, lines } = logging("json");
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  log.warn({ long: "x".repeat(100_000), circular, list: Array.from({ length: 10_000 }) }, "m");
  expect(lines[0]!.length).toBeLessThan(5_000);
});
