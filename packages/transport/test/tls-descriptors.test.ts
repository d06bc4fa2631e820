import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import { afterEach, expect, test } from "vitest";
import { certificates, connectTo } from "./tls-world.ts";

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

test("a server out of file descriptors closes what it cannot take, survives, and takes connections again", async () => {
  const script = `
    import { listenTls } from "@hubwire/transport";
    const { KEY: key, CERT: cert } = process.env;
    const onStream = (stream) => stream.start({ onBytes() {}, onDrain() {}, onClosed() {} });
    const listener = await listenTls({ host: "127.0.0.1", port: 0, key, cert, onStream });
    console.log(listener.port);
  `;
  const flags = [
    "--conditions=@hubwire/source",
    "--no-warnings",
    "--input-type=module",
    "--eval",
    script,
  ];
  const { key, cert } = certificates.server;
  // The limit is set by the shell that becomes the server.
  const command = ["-c", 'ulimit -n 60; exec "$0" "$@"', process.execPath, ...flags];
  const server = spawn("/bin/sh", command, {
    env: { ...process.env, KEY: key, CERT: cert },
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const lines = createInterface(server.stdout);
    const [port] = ((await once(lines, "line")) as [string]).map(Number) as [number];
    for (let count = 0; count < 100; count++) {
      sockets.push(connect({ host: "127.0.0.1", port }).on("error", () => undefined));
    }
    await Promise.race(
      sockets.map((socket) => new Promise((resolve) => socket.once("close", resolve))),
    );
    for (const socket of sockets) socket.destroy();
    for (;;) {
      const outcome = await connectTo(port, { timeoutMs: 2_000 }).catch(() => undefined);
      if (outcome !== undefined) break;
    }
    expect(server.exitCode).toBeNull();
  } finally {
    server.kill("SIGKILL");
  }
});
