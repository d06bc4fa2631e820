import { once } from "node:events";
import fc from "fast-check";
import { absentRoutes, restRoutes } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { pathOf, recipes } from "./recipes.ts";
import { version } from "./rest-world.ts";
import { createTlsWorld } from "./tls-world.ts";
import { device, module, writeOf } from "./world.ts";

const runs = Number(process.env["HUBWIRE_LONG"] === "1" ? 20_000 : 150);
/** No answer is longer than this: the worlds here hold a handful of devices. */
const answerBytesMax = 256 * 1024;

type Parts = { line: string; headers: string[]; body: string };

/** A good request of each route, taken apart. */
const good: readonly Parts[] = restRoutes.map((route) => {
  const { params, body } = recipes[route.name];
  const text = body === undefined ? "" : JSON.stringify(body);
  return {
    line: `${route.method} ${pathOf(route.path, params)}?${version} HTTP/1.1`,
    headers: [
      "Host: hub.test",
      "If-Match: *",
      ...(text === "" ? [] : ["Content-Type: application/json"]),
    ],
    body: text,
  };
});
const absent: readonly Parts[] = absentRoutes.map(({ method, path }) => ({
  line: `${method} ${path.replaceAll(/[{}]/g, "")}?${version} HTTP/1.1`,
  headers: ["Host: hub.test"],
  body: "",
}));

const hostile = fc.oneof(
  fc.constantFrom(
    "%",
    "%00",
    "%2F",
    "/",
    "//",
    "?",
    "#",
    "\0",
    "\r",
    "\n",
    " ",
    "\t",
    "..",
    "__proto__",
  ),
  fc.constantFrom(
    '"',
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "1e999",
    "-0",
    "\ud800",
    "é",
    "😀",
  ),
  fc.string({ unit: "binary", maxLength: 12 }),
);
/** Cuts, doubles or replaces a part of a text. */
const change = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.nat(12),
  insert: hostile,
  times: fc.constantFrom(1, 1, 1, 2, 500),
});
const mutate = (text: string, { at, length, insert, times }: Change): string => {
  const from = Math.floor(at * text.length);
  return text.slice(0, from) + insert.repeat(times) + text.slice(from + length);
};
type Change = { at: number; length: number; insert: string; times: number };

const headerLines = fc.array(
  fc.oneof(
    fc.constantFrom(
      'If-Match: "',
      "If-Match: *, *",
      "x-ms-max-item-count: -1",
      "x-ms-continuation: \u00ff",
      "Content-Type: text/plain",
      "Content-Length: 0",
      "Content-Length: 99999999999",
      "Content-Length: -1",
      "Transfer-Encoding: chunked",
      "Transfer-Encoding: gzip, chunked",
      "Expect: 100-continue",
      "Expect: nonsense",
      "Upgrade: websocket",
      "Connection: upgrade",
      "Connection: close",
    ),
    fc.string({ maxLength: 40 }).map((text) => `X-Any: ${text}`),
  ),
  { maxLength: 3 },
);
const request = fc.record({
  parts: fc.constantFrom(...good, ...good, ...absent),
  inLine: fc.option(change, { freq: 2 }),
  inBody: fc.option(change, { freq: 2 }),
  more: headerLines,
  isAuthorized: fc.boolean(),
  tail: fc.constantFrom("", "", "GET / HTTP/1.1\r\n\r\n", "\0\0\0\0", "x".repeat(10_000)),
});

const knownStatus = /^HTTP\/1\.1 (100|101|2\d\d|4\d\d|50[0-4]) /;

test("whatever bytes come, each connection is answered or closed, in bounds, and others notice nothing", async () => {
  const world = await createTlsWorld({
    lingerMs: 50,
    headersTimeoutMs: 300,
    requestTimeoutMs: 300,
    checkIntervalMs: 50,
  });
  const { identities, listener, send, owner } = world;
  await identities.create(writeOf(device("bystander")));
  let kept = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 3 }), async (requests) => {
      await identities.create(writeOf(device("d"))).catch(() => {});
      await identities.create(writeOf(module("d", "m"))).catch(() => {});
      const bytes = requests.map(({ parts, inLine, inBody, more, isAuthorized, tail }) => {
        const line = inLine === null ? parts.line : mutate(parts.line, inLine);
        const body = inBody === null ? parts.body : mutate(parts.body, inBody);
        const length = Buffer.byteLength(body);
        const own = [
          ...(isAuthorized ? [`Authorization: ${owner}`] : []),
          ...(length === 0 ? [] : [`Content-Length: ${length}`]),
        ];
        return `${[line, ...parts.headers, ...more, ...own].join("\r\n")}\r\n\r\n${body}${tail}`;
      });
      const socket = await world.raw();
      let size = 0;
      let answer = "";
      socket.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (answer.length < 100) answer += chunk.toString("latin1");
      });
      const closed = once(socket, "close");
      socket.end(bytes.join(""), "utf8");
      // Whoever comes along meanwhile is served.
      const other = await send("GET", `/devices/bystander?${version}`);
      expect(other.status).toBe(200);
      await closed;
      expect(size).toBeLessThan(answerBytesMax);
      if (answer !== "") expect(answer).toMatch(knownStatus);
      if (answer !== "") kept++;
    }),
    { numRuns: runs, endOnFailure: true },
  );
  while (listener.inFlight > 0) await new Promise(setImmediate);
  expect(kept).toBeGreaterThan(runs / 4);
  expect(world.log.filter(({ level }) => level === "error")).toEqual([]);
  expect(({} as { x?: unknown }).x).toBeUndefined();
  expect(await identities.find(device("bystander"))).toBeDefined();
});
