import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hub, Logger } from "@hubwire/hub";
import { buildSasToken, parseServiceConnectionString } from "@hubwire/protocol";

export type LogLine = { level: string; message: string } & Record<string, unknown>;

/** A logger that keeps its lines. */
export function recordingLogger(): Logger & { lines: LogLine[]; of(event: string): LogLine[] } {
  const lines: LogLine[] = [];
  const as = (level: string) => (facts: object, message: string) =>
    void lines.push({ ...facts, level, message });
  return {
    lines,
    of: (event) => lines.filter((line) => line["event"] === event),
    debug: as("debug"),
    info: as("info"),
    warn: as("warn"),
    error: as("error"),
  };
}

/** A fresh path below the system's temporary directory, removed at the end of the scope. */
export function temporaryDirectory(): Disposable & { path: string; data: string } {
  const path = mkdtempSync(join(tmpdir(), "hubwire-hub-"));
  return {
    path,
    data: join(path, "data"),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A port that somebody else has. */
export async function takenPort(): Promise<AsyncDisposable & { port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

export const canListen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });

export async function sign(resource: string, key: string, policyName?: string): Promise<string> {
  const expiresAtS = Math.floor(Date.now() / 1000) + 600;
  const scope = { resource, expiresAtS, ...(policyName === undefined ? {} : { policyName }) };
  return buildSasToken(scope, async (text) =>
    createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64"),
  );
}

/** A request as a service SDK makes it: over TLS, by name, with a policy's token. */
export async function call(
  hub: Hub,
  method: string,
  path: string,
  options: { body?: unknown; policy?: string } = {},
): Promise<{ status: number; body: unknown; headers: Record<string, unknown> }> {
  const { sharedAccessKey, sharedAccessKeyName } = parseServiceConnectionString(
    hub.connectionString(options.policy),
  );
  const authorization = await sign(hub.hostName, sharedAccessKey, sharedAccessKeyName);
  const text = options.body === undefined ? undefined : JSON.stringify(options.body);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: hub.hostName,
        port: hub.httpsPort,
        method,
        path,
        ca: hub.caPem,
        agent: false,
        headers: {
          authorization,
          ...(text === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
        },
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () => {
          const answer = Buffer.concat(chunks).toString("utf8");
          let body: unknown = answer;
          try {
            body = JSON.parse(answer);
          } catch {
            // Metrics are text, and so is nothing at all.
          }
          resolve({ status: incoming.statusCode ?? 0, body, headers: incoming.headers });
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(text);
  });
}
