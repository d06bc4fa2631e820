import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Programs of other people that the tests talk to, and the Debian package each comes in. */
const needed = [
  {
    what: "mosquitto (a broker, for comparison)",
    package: "mosquitto",
    present: () => works("mosquitto", ["-h"]),
  },
  {
    what: "mosquitto_pub and mosquitto_sub",
    package: "mosquitto-clients",
    present: () => works("mosquitto_pub", ["--version"]) && works("mosquitto_sub", ["--version"]),
  },
  {
    what: "openssl (the X.509 page makes certificates with it)",
    package: "openssl",
    present: () => works("openssl", ["version"]),
  },
  {
    what: "tinyproxy (an HTTP proxy)",
    package: "tinyproxy-bin",
    present: () => works("tinyproxy", ["-v"]),
  },
  {
    what: "microsocks (a SOCKS5 proxy)",
    package: "microsocks",
    present: () => works("microsocks", ["-h"]),
  },
  {
    what: "SoftHSM (a PKCS#11 token in software)",
    package: "softhsm2",
    present: () => works("softhsm2-util", ["--version"]),
  },
  {
    what: "pkcs11-tool",
    package: "opensc",
    present: () => works("pkcs11-tool", ["--help"]),
  },
  {
    what: "the PKCS#11 engine of OpenSSL (libp11)",
    package: "libengine-pkcs11-openssl",
    present: () => findPkcs11Engine() !== undefined,
  },
  {
    what: "gnome-keyring (a Secret Service)",
    package: "gnome-keyring",
    present: () => works("gnome-keyring-daemon", ["--version"]),
  },
  {
    what: "dbus-run-session",
    package: "dbus-daemon",
    present: () => works("dbus-run-session", ["--version"]),
  },
  {
    what: "a compiler, make and Python (pkcs11js is built with them)",
    package: "g++ make python3",
    present: () => isPkcs11Built() || works("g++", ["--version"]),
  },
  {
    what: "paho for Python 3",
    package: "python3-paho-mqtt",
    present: () => findPython() !== undefined,
  },
];

/** libp11's engine for the OpenSSL 3 that Debian ships; Node's own OpenSSL 3 loads it too. */
export function findPkcs11Engine(): string | undefined {
  const libraries = "/usr/lib";
  const places = existsSync(libraries) ? readdirSync(libraries) : [];
  return places
    .map((place) => `${libraries}/${place}/engines-3/pkcs11.so`)
    .find((file) => existsSync(file));
}

/** An optional dependency: without a compiler it was left out, and everything but its own tests works. */
const isPkcs11Built = (): boolean =>
  existsSync(
    join(import.meta.dirname, "..", "node_modules", "pkcs11js", "build", "Release", "pkcs11.node"),
  );

function works(command: string, args: string[]): boolean {
  // mosquitto lives in sbin on Debian and prints its help with a non-zero status.
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin`;
  return (
    spawnSync(command, args, { stdio: "ignore", env: { ...process.env, PATH: path } }).error ===
    undefined
  );
}

/** A Python that can import paho: the one in PATH need not be the one Debian's packages belong to. */
export function findPython(): string | undefined {
  return ["python3", "/usr/bin/python3"].find(
    (python) =>
      spawnSync(python, ["-c", "import paho.mqtt.client"], { stdio: "ignore" }).status === 0,
  );
}

/** Installs what is missing where that is allowed (Debian, root); otherwise names the exact command and exits 1. */
export function ensureSystemPackages(): void {
  ensurePrograms();
  if (isPkcs11Built()) return;
  // It was left out when the npm packages were installed, before there was a compiler.
  process.stdout.write("Building pkcs11js ...\n");
  const done = spawnSync("npm", ["ci", "--loglevel=error"], { encoding: "utf8" });
  if (isPkcs11Built()) return;
  process.stderr.write(`pkcs11js could not be built:\n${done.stdout}${done.stderr}`);
  process.exit(1);
}

function ensurePrograms(): void {
  const missing = needed.filter((entry) => !entry.present());
  if (missing.length === 0) return;
  const packages = missing.flatMap((entry) => entry.package.split(" "));
  const command = `apt-get install -y --no-install-recommends ${packages.join(" ")}`;
  const mayInstall = process.getuid?.() === 0 && works("apt-get", ["--version"]);
  if (mayInstall) {
    process.stdout.write(`Installing Debian packages: ${packages.join(", ")} ...\n`);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    spawnSync("apt-get", ["update", "-qq"], { stdio: "ignore", env });
    spawnSync("apt-get", command.split(" ").slice(1), { stdio: "ignore", env });
  }
  const still = needed.filter((entry) => !entry.present());
  if (still.length === 0) return;
  process.stderr.write(
    `The tests talk to programs this machine does not have: ${still.map((entry) => entry.what).join("; ")}.\n` +
      `Install them (on Debian or Ubuntu), then run the same command again:\n  sudo ${command}\n`,
  );
  process.exit(1);
}
