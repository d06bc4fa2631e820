import { createHash } from "node:crypto";
import { IotError } from "@hubwire/protocol";
import { auto, webSocket } from "@hubwire/websocket";
import { expect, test } from "vitest";
import { certificates, connectTo, noSignal, startLiar, startServer } from "./world.ts";

const accept = (key: string): string =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
const switching = (
  key: string,
  lines: readonly string[] = ["Sec-WebSocket-Protocol: mqtt"],
): string =>
  [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept(key)}`,
    ...lines,
    "\r\n",
  ].join("\r\n");

type Liar = {
  name: string;
  answer: Parameters<typeof startLiar>[0];
  code: string;
  says: RegExp;
  retryable: boolean;
};
const refused = { code: "transport.websocket_refused", retryable: true };
const broken = { code: "transport.websocket_protocol", retryable: false };
const otherWords = { code: "transport.websocket_subprotocol", retryable: false };
const liars: Liar[] = [
  {
    ...refused,
    name: "401",
    answer: "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    says: /answered the WebSocket request with 401 Unauthorized$/,
  },
  {
    ...refused,
    name: "a captive portal's redirect, whose path may hold a session",
    answer: "HTTP/1.1 302 Found\r\nLocation: http://portal.example/login?s=1234\r\n\r\n",
    says: /302 Found, and points to http:\/\/portal\.example$/,
  },
  {
    ...refused,
    name: "200 with a page without end",
    answer: `HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n${"x".repeat(50_000)}`,
    says: /200 OK$/,
  },
  {
    ...refused,
    name: "503",
    answer: "HTTP/1.1 503 Busy\r\nRetry-After: 10\r\nContent-Length: 0\r\n\r\n",
    says: /503 Busy$/,
  },
  {
    ...otherWords,
    name: "another subprotocol",
    answer: (key) => switching(key, ["Sec-WebSocket-Protocol: AMQPWSB10"]),
    says: /asked for the subprotocol mqtt, it chose AMQPWSB10$/,
  },
  {
    ...otherWords,
    name: "no subprotocol",
    answer: (key) => switching(key, []),
    says: /it chose none$/,
  },
  {
    ...broken,
    name: "a wrong proof of having read the key",
    answer: () => switching("another"),
    says: /gave no WebSocket answer: .*Sec-WebSocket-Accept/,
  },
  {
    ...broken,
    name: "an upgrade to something else",
    answer: "HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    says: /gave no WebSocket answer/,
  },
  {
    ...broken,
    name: "no HTTP at all",
    answer: "SSH-2.0-OpenSSH_9.6\r\n",
    says: /gave no WebSocket answer: Parse Error/,
  },
  {
    ...broken,
    name: "a head without end",
    answer: `HTTP/1.1 101 Switching Protocols\r\nX: ${"y".repeat(40_000)}`,
    says: /gave no WebSocket answer: .*overflow/,
  },
  {
    ...broken,
    name: "an extension nobody asked for",
    answer: (key) =>
      switching(key, [
        "Sec-WebSocket-Protocol: mqtt",
        "Sec-WebSocket-Extensions: permessage-deflate",
      ]),
    says: /gave no WebSocket answer: .*Sec-WebSocket-Extensions/,
  },
];
test.each(liars)("$name: $code", async ({ answer, code, says, retryable }) => {
  const error = await failureOf(await startLiar(answer));
  expect(error).toMatchObject({ code, retryable });
  expect(error.message).toMatch(says);
  expect(error.message).toMatch(/^localhost:\d+ /);
});

const frames: { name: string; frame: string; code: string }[] = [
  // FIN, opcode 1, "hi".
  { name: "a text frame", frame: "81026869", code: "transport.websocket_text" },
  // FIN, opcode 2, 64-bit length of 256 MiB, and nothing of it.
  { name: "256 MiB", frame: "827f0000000010000000", code: "transport.websocket_too_large" },
  {
    name: "a length with its top bit set",
    frame: "827fffffffffffffffff",
    code: "transport.websocket_too_large",
  },
  {
    name: "a frame masked by the server",
    frame: "828161626364ff",
    code: "transport.websocket_protocol",
  },
  { name: "a reserved bit", frame: "c2016d", code: "transport.websocket_protocol" },
  { name: "an unknown opcode", frame: "83016d", code: "transport.websocket_protocol" },
  { name: "a continuation of nothing", frame: "80016d", code: "transport.websocket_protocol" },
];
test.each(frames)("$name ends the connection with $code", async ({ frame, code }) => {
  const port = await startLiar((key) =>
    Buffer.concat([Buffer.from(switching(key)), Buffer.from(frame, "hex")]),
  );
  const client = (await connectTo(port)).start();
  expect(await client.end()).toMatchObject({ code });
  expect(client.chunks).toEqual([]);
});

test("messages of up to the bound are taken, one byte more is not", async () => {
  const server = await startServer();
  const client = (await connectTo(server.port, { webSocket: { messageBytesMax: 2_000 } })).start();
  const { connection } = await server.next();
  connection.send(Buffer.alloc(2_000));
  await client.until(() => client.bytes.length === 2_000);
  connection.send(Buffer.alloc(2_001));
  expect(await client.end()).toMatchObject({ code: "transport.websocket_too_large" });
});

test("a message of many small fragments is bounded as a whole", async () => {
  const server = await startServer();
  const client = (await connectTo(server.port, { webSocket: { messageBytesMax: 2_000 } })).start();
  const { connection } = await server.next();
  for (let n = 0; n < 30; n++) connection.send(Buffer.alloc(100), { fin: false });
  expect(await client.end()).toMatchObject({ code: "transport.websocket_too_large" });
  expect(client.chunks).toEqual([]);
});

test("a server that accepts TLS and says nothing costs one deadline", async () => {
  const port = await startLiar("");
  const error = await failureOf(port, { timeoutMs: 300 });
  expect(error.code).toBe("transport.timeout");
  expect(error.message).toMatch(/within 300 ms: still in the WebSocket handshake$/);
});

test("a server that hangs up instead of answering", async () => {
  const port = await startLiar(undefined);
  const error = await failureOf(port);
  expect(error.code).toBe("transport.reset");
  expect(error.message).toMatch(
    /closed the connection during the WebSocket handshake: socket hang up$/,
  );
});

test("an abort in the middle of the upgrade ends it", async () => {
  const port = await startLiar("");
  const controller = new AbortController();
  const dial = webSocket({ port }).dialer({ ca: certificates.root.cert });
  const target = { host: "localhost", port: 1, identity: undefined };
  const outcome = dial(target, controller.signal).catch((error: unknown) => error);
  setImmediate(() => controller.abort());
  expect(await outcome).toMatchObject({ code: "call.aborted" });
});

test("the Date of an answer is told, also that of a refusal; nonsense is not", async () => {
  const times: number[] = [];
  const onServerTime = (unixMs: number): void => void times.push(unixMs);
  const date = "Date: Sun, 06 Nov 1994 08:49:37 GMT";
  const opened = await startLiar((key) => switching(key, ["Sec-WebSocket-Protocol: mqtt", date]));
  await connectTo(opened, { onServerTime });
  const refusing = await startLiar(`HTTP/1.1 401 No\r\n${date}\r\nContent-Length: 0\r\n\r\n`);
  await failureOf(refusing, { onServerTime });
  const nonsense = await startLiar("HTTP/1.1 401 No\r\nDate: soon\r\nContent-Length: 0\r\n\r\n");
  await failureOf(nonsense, { onServerTime });
  // RFC 9110 §5.6.7, its own example.
  expect(times).toEqual([784_111_777_000, 784_111_777_000]);
});

test("a server that is not trusted is refused before anything is asked of it", async () => {
  const server = await startServer();
  const error = await failureOf(server.port, { ca: [] });
  expect(error.code).toBe("transport.tls_untrusted");
});

test("auto: 8883 shut, WebSocket open", async () => {
  const server = await startServer();
  const shut = await startServer();
  const dial = auto({ port: server.port }).dialer({ ca: certificates.root.cert });
  // A port on which nothing speaks TLS any more.
  const target = { host: "localhost", port: 1, identity: undefined };
  expect(shut.port).not.toBe(server.port);
  const stream = await dial(target, noSignal);
  expect(stream.peer.address).toBe(`127.0.0.1:${server.port}`);
  stream.destroy();
});

const mistakes = [
  [{ port: 0 }, /whole number from 1 to 65535/],
  [{ path: "websocket" }, /begins with \//],
  [{ path: "/a b" }, /blanks/],
  [{ messageBytesMax: 10 }, /at least 1024/],
] as const;
test.each(mistakes)("options that cannot be meant are refused: %j", (options, says) => {
  expect(() => webSocket(options)).toThrow(says);
});

async function failureOf(
  port: number,
  options: Parameters<typeof connectTo>[1] = {},
): Promise<IotError> {
  const outcome: unknown = await connectTo(port, options).catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(IotError);
  return outcome as IotError;
}
