import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { certificates, connectTo, startServer } from "./tls-world.ts";

const run = promisify(execFile);

/** Dials from a process of its own, because Node reads these settings once, at its start. */
async function dialWith(
  environment: Record<string, string>,
  port: number,
  ca: string,
): Promise<string> {
  const script = `
    import { tlsConnector } from "@hubwire/transport";
    const { PORT: port, CA: ca } = process.env;
    const dial = tlsConnector({ host: "127.0.0.1", port: Number(port), ...(ca && { ca }) });
    const outcome = dial(new AbortController().signal);
    outcome.then((stream) => (console.log("connected"), stream.destroy()), (error) => console.log(error.code));
  `;
  const flags = [
    "--conditions=@hubwire/source",
    "--no-warnings",
    "--input-type=module",
    "--eval",
    script,
  ];
  const env = { ...process.env, PORT: String(port), CA: ca, ...environment };
  const { stdout } = await run(process.execPath, flags, { env, cwd: import.meta.dirname });
  return stdout.trim();
}

test("NODE_TLS_REJECT_UNAUTHORIZED=0 does not switch validation off", async () => {
  const server = await startServer();
  const outcome = await dialWith({ NODE_TLS_REJECT_UNAUTHORIZED: "0" }, server.port, "");
  expect(outcome).toBe("transport.tls_untrusted");
});

test("NODE_EXTRA_CA_CERTS is trusted, alone and together with `ca`", async () => {
  const directory = await mkdtemp(join(tmpdir(), "hubwire-trust-"));
  try {
    const file = join(directory, "extra.pem");
    await writeFile(file, certificates.root.cert);
    const other = await certificates.ca({ cn: "Other CA" });
    const server = await startServer();
    const extra = { NODE_EXTRA_CA_CERTS: file };
    expect(await dialWith(extra, server.port, "")).toBe("connected");
    expect(await dialWith(extra, server.port, other.cert)).toBe("connected");
    expect(await dialWith({}, server.port, other.cert)).toBe("transport.tls_untrusted");
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("several authorities in one text or in several are all trusted", async () => {
  const other = await certificates.ca({ cn: "Other CA" });
  const identity = await certificates.issue({ cn: "hub", san: ["127.0.0.1"], issuer: other });
  const [first, second] = [await startServer(), await startServer({ identity })];
  for (const ca of [[certificates.root.cert, other.cert], certificates.root.cert + other.cert]) {
    await connectTo(first.port, { ca });
    await connectTo(second.port, { ca });
  }
});
