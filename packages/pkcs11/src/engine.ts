import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { env } from "node:process";
import { isMainThread } from "node:worker_threads";
import { IotError } from "@hubwire/protocol";

/** Where distributions put OpenSSL 3 engines: Debian by architecture, others in lib or lib64. */
const libraryFolders = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"];
const engineId = "pkcs11";
const engineFile = `${engineId}.so`;

/** libp11's engine on this machine, or undefined. */
export function findEngine(): string | undefined {
  const folders = libraryFolders.filter((folder) => existsSync(folder));
  const candidates = folders.flatMap((folder) => [
    join(folder, "engines-3"),
    ...readdirSync(folder).map((name) => join(folder, name, "engines-3")),
  ]);
  return candidates.map((folder) => join(folder, engineFile)).find((file) => existsSync(file));
}

/** Once per process: see `engineLost`. */
let isStale = false;

/**
 * Makes OpenSSL in this process find libp11's engine, and the engine its module.
 *
 * Both are told by environment variables, PKCS11_MODULE_PATH and OPENSSL_ENGINES, and so for the **whole process** and its
 * children: TLS keys of one process come from one module. By the engine's path instead of OPENSSL_ENGINES it would work for
 * one TLS context and no second one (observed with Node 20 to 26 and libp11 0.4.12).
 * @returns what Node calls `privateKeyEngine`
 * @throws IotError `pkcs11.engine`, `pkcs11.engine_stale`
 */
export function prepareEngine(library: string, given: string | undefined): string {
  checkEngine();
  const engine = given ?? findEngine();
  if (engine === undefined) throw unusable("OpenSSL's PKCS#11 engine (libp11) was not found");
  if (basename(engine) !== engineFile || !existsSync(engine))
    throw unusable(`There is no engine ${engine}; its file is called ${engineFile}`);
  setOnce("PKCS11_MODULE_PATH", library);
  setOnce("OPENSSL_ENGINES", dirname(engine));
  return engineId;
}

/** @throws IotError `pkcs11.engine_stale` */
export function checkEngine(): void {
  if (!isStale) return;
  throw new IotError(
    "pkcs11.engine_stale",
    "The token was away, and OpenSSL's PKCS#11 engine needs a new process to open it again",
  );
}

/**
 * The token went away under the engine. libp11 0.4.12 then keeps its dead sessions, and asks for the PIN on the terminal,
 * which would stop the whole process: nothing may use it any more.
 */
export function engineLost(): void {
  isStale = true;
}

/** An environment variable of this process, as OpenSSL sees it. */
function setOnce(name: "PKCS11_MODULE_PATH" | "OPENSSL_ENGINES", value: string): void {
  const present = env[name];
  if (present === value) return;
  if (present !== undefined)
    throw unusable(`${name} is ${present} already; it would have to be ${value}`);
  // In a worker process.env is a copy that OpenSSL never sees.
  if (!isMainThread)
    throw unusable(`In a worker thread, ${name} has to be set beforehand, to ${value}`);
  env[name] = value;
}

const unusable = (message: string): IotError => new IotError("pkcs11.engine", message);
