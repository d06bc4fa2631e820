import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testCertificates } from "@hubwire/testkit";
import { listenTls, type TlsListener } from "@hubwire/transport";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodeBinary } from "./node-binaries.ts";
import { runScript } from "./run-script.ts";

const root = join(import.meta.dirname, "../..");
const script = join(import.meta.dirname, "trust.mjs");
const untrusted = "transport.tls_untrusted";

/** What the option `ca` adds to, on every Node: its own roots, and NODE_EXTRA_CA_CERTS. */
export function testTrust(versions: readonly string[]): void {
  const listeners: TlsListener[] = [];
  const pems: Record<string, string> = {};
  const servers: Record<string, number> = {};
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hubwire-trust-"));
    const certificates = await testCertificates();
    for (const name of ["default", "extra", "added", "stranger"]) {
      const issuer = await certificates.ca({ cn: `${name} CA` });
      const { key, fullChain } = await certificates.issue({ cn: name, san: ["localhost"], issuer });
      const onStream = (): void => undefined;
      const listener = await listenTls({
        host: "127.0.0.1",
        port: 0,
        key,
        cert: fullChain,
        onStream,
      });
      listeners.push(listener);
      servers[name] = listener.port;
      pems[name] = issuer.cert;
      await writeFile(join(folder, `${name}.pem`), issuer.cert);
    }
  });
  afterAll(async () => {
    await Promise.all(listeners.map((listener) => listener.close()));
    await rm(folder, { recursive: true, force: true });
  });

  async function dialled(version: string, isTold: boolean): Promise<unknown> {
    // The default roots are ours by OpenSSL's own setting, because nobody has the keys of the real ones.
    const { code, output } = await runScript(
      await nodeBinary(version),
      ["--use-openssl-ca", script],
      {
        cwd: root,
        env: {
          SSL_CERT_FILE: join(folder, "default.pem"),
          SSL_CERT_DIR: folder,
          NODE_EXTRA_CA_CERTS: join(folder, "extra.pem"),
          HUBWIRE_TEST_SERVERS: JSON.stringify({ servers, ...(isTold && { ca: pems["added"] }) }),
        },
      },
    );
    expect(code, output).toBe(0);
    return JSON.parse(output) as unknown;
  }

  test.each(versions)(
    "Node %s: `ca` is added to its roots and to NODE_EXTRA_CA_CERTS",
    async (version) => {
      const trusted = { default: "trusted", extra: "trusted" };
      const without = { ...trusted, added: untrusted, stranger: untrusted };
      expect(await dialled(version, false)).toEqual(without);
      expect(await dialled(version, true)).toEqual({ ...without, added: "trusted" });
    },
  );
}
