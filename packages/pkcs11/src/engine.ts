import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { env } from "node:process";
import { isMainThread } from "node:worker_threads";
import { IotError } from "@hubwire/protocol";

/** Where distributions put OpenSSL 3 engines: Debian by architecture, others in lib or lib64. */
const libraryFolders = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"];
/** In libp11's own build the engine may also be called libpkcs11.so; both are the same file. */
const engineFile = "pkcs11.so";

/** libp11's engine on this machine, or undefined. */
export function findEngine(): string | undefined {
  const folders = libraryFolders.filter((folder) => existsSync(folder));
  const candidates = folders.flatMap((folder) => [
    join(folder, "engines-3"),
    ...readdirSync(folder).map((name) => join(folder, name, "engines-3")),
  ]);
  return candidates.map((folder) => join(folder, engineFile)).find((file) => existsSync(file));
}

/**
 * Makes OpenSSL in this process find libp11's engine, and the engine its module.
 *
 * Both are told by environment variables, PKCS11_MODULE_PATH and OPENSSL_ENGINES, and so for the **whole process** and its
 * children: TLS keys of one process come from one module. Where OPENSSL_ENGINES is taken, the engine goes by its path, and
 * libp11 then writes "bad engine id" to standard error, which means nothing.
 * @returns what Node calls `privateKeyEngine`
 * @throws IotError `pkcs11.engine`
 */
export function prepareEngine(library: string, given: string | undefined): string {
  const engine = given ?? findEngine();
  if (engine === undefined) throw unusable("OpenSSL's PKCS#11 engine (libp11) was not found");
  if (!existsSync(engine)) throw unusable(`There is no engine ${engine}`);
  const path = env["PKCS11_MODULE_PATH"];
  if (path !== undefined && path !== library) {
    throw unusable(`PKCS11_MODULE_PATH is ${path} already, so that ${library} cannot be used too`);
  }
  if (path === undefined) {
    // In a worker process.env is a copy that OpenSSL never sees.
    if (!isMainThread) throw unusable("In a worker thread, set PKCS11_MODULE_PATH beforehand");
    env["PKCS11_MODULE_PATH"] = library;
  }
  if (basename(engine) !== engineFile) return engine;
  const folder = dirname(engine);
  if (env["OPENSSL_ENGINES"] === undefined && isMainThread) env["OPENSSL_ENGINES"] = folder;
  return env["OPENSSL_ENGINES"] === folder ? "pkcs11" : engine;
}

const unusable = (message: string): IotError => new IotError("pkcs11.engine", message);
