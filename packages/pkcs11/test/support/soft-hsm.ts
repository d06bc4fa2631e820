import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatKeyUri } from "../../src/uri.ts";

/** SoftHSM's module, where Debian and its relatives put it. */
export const library = [
  "/usr/lib/softhsm/libsofthsm2.so",
  "/usr/lib64/softhsm/libsofthsm2.so",
].find((file) => existsSync(file)) as string;

export type SoftHsm = {
  folder: string;
  label: string;
  pin: string;
  /** SOFTHSM2_CONF: what a process needs to see this token, and no other. */
  env: { SOFTHSM2_CONF: string };
  /** OpenSC's pkcs11-tool, logged in to the token. */
  tool(...args: string[]): string;
  /** A self-signed certificate for a private key in the token, signed by that key: the PEM. */
  selfSigned(keyLabel: string, cn: string, engine: string): string;
  remove(): void;
};

/** A token of its own, in a temporary directory: initialised, empty. */
export function softHsm(label = "device-token"): SoftHsm {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-softhsm-"));
  const pin = String(Math.floor(Math.random() * 9e7 + 1e7));
  const env = { SOFTHSM2_CONF: join(folder, "softhsm2.conf") };
  mkdirSync(join(folder, "tokens"));
  writeFileSync(
    env.SOFTHSM2_CONF,
    `directories.tokendir = ${join(folder, "tokens")}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  const run = (command: string, args: string[], more: Record<string, string> = {}): string =>
    execFileSync(command, args, {
      env: { ...process.env, ...env, ...more },
      encoding: "utf8",
      stdio: "pipe",
    });
  const init = ["--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", `so${pin}`];
  run("softhsm2-util", init);
  return {
    folder,
    label,
    pin,
    env,
    tool: (...args) =>
      run("pkcs11-tool", [
        "--module",
        library,
        "--token-label",
        label,
        "--login",
        "--pin",
        pin,
        ...args,
      ]),
    selfSigned(keyLabel, cn, engine) {
      const config = join(folder, "openssl.cnf");
      writeFileSync(config, opensslConfig(engine));
      const uri = `${formatKeyUri({ tokenLabel: label, keyLabel })};pin-value=${pin}`;
      const key = ["-engine", "pkcs11", "-keyform", "engine", "-key", uri];
      const request = ["req", "-new", "-x509", "-subj", `/CN=${cn}`, "-days", "30", "-sha256"];
      return run("openssl", [...request, ...key], { OPENSSL_CONF: config });
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** How libp11 wants to be told about its module. */
const opensslConfig = (engine: string): string => `
openssl_conf = top
[top]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
dynamic_path = ${engine}
MODULE_PATH = ${library}
init = 0
[req]
distinguished_name = name
[name]
`;
