import { join } from "node:path";
import { IotError } from "@hubwire/protocol";
import { readOptional, writeDurably } from "../durable-file.ts";
import { whyDue } from "./due.ts";
import { isPair, issueServerCertificate, makeAuthority } from "./issue.ts";
import type { PemPair } from "./pem-pair.ts";

/** A hub's own authority, and the server certificate that is in use. */
export type HubCertificates = {
  /** PEM of the CA: what clients trust. */
  readonly caPem: string;
  /** Where it is; undefined in memory. */
  readonly caFile: string | undefined;
  readonly server: PemPair;
  /** Issues the server certificate again if it has to be; then tells why, else undefined. */
  renew(wallMs: number): Promise<string | undefined>;
};

/**
 * The certificates in a data directory, made on the first start: `ca.pem` to hand out; `ca-key.pem`, `server.pem` and
 * `server-key.pem`, mode 0600.
 * @throws IotError `hub.data_corrupt` when `ca.pem` has lost its key: a new CA would cut off every client that trusts it
 */
export async function openCertificates(
  directory: string,
  names: readonly string[],
  wallMs: number,
): Promise<HubCertificates> {
  const path = (name: string): string => join(directory, name);
  const caFile = path("ca.pem");
  const [cert, key] = await Promise.all([readOptional(caFile), readOptional(path("ca-key.pem"))]);
  let authority: PemPair;
  if (cert === undefined) {
    authority = await makeAuthority(wallMs);
    // The key first: a CA without its key would be damage, a key without its CA is an interrupted first start.
    await writeDurably(path("ca-key.pem"), authority.key, 0o600);
    await writeDurably(caFile, authority.cert, 0o644);
  } else {
    authority = { cert, key: key ?? "" };
    if (!isPair(authority)) {
      throw new IotError(
        "hub.data_corrupt",
        `${path("ca-key.pem")} is not the key of ca.pem; delete both to have a new CA made`,
      );
    }
  }
  return certificates(authority, names, wallMs, {
    caFile,
    load: async () => ({
      cert: (await readOptional(path("server.pem"))) ?? "",
      key: (await readOptional(path("server-key.pem"))) ?? "",
    }),
    save: async (server) => {
      await writeDurably(path("server-key.pem"), server.key, 0o600);
      await writeDurably(path("server.pem"), server.cert, 0o600);
    },
  });
}

let shared: { authority: PemPair; wallMs: number } | undefined;

/** For hubs without a data directory. One CA serves all of a process, so that a hundred tests do not make a hundred. */
export async function memoryCertificates(
  names: readonly string[],
  wallMs: number,
): Promise<HubCertificates> {
  const dayMs = 86_400_000;
  if (shared === undefined || Math.abs(wallMs - shared.wallMs) > dayMs / 2) {
    shared = { authority: await makeAuthority(wallMs), wallMs };
  }
  return certificates(shared.authority, names, wallMs, {
    caFile: undefined,
    load: async () => ({ cert: "", key: "" }),
    save: async () => {},
  });
}

async function certificates(
  authority: PemPair,
  names: readonly string[],
  wallMs: number,
  storage: {
    caFile: string | undefined;
    load: () => Promise<PemPair>;
    save: (server: PemPair) => Promise<void>;
  },
): Promise<HubCertificates> {
  let server = await storage.load();
  const renew = async (nowMs: number): Promise<string | undefined> => {
    const why = server.cert === "" ? "there is none" : whyDue(server, authority, names, nowMs);
    if (why === undefined) return undefined;
    const issued = await issueServerCertificate(authority, names, nowMs);
    await storage.save(issued);
    server = issued;
    return why;
  };
  await renew(wallMs);
  return {
    caPem: authority.cert,
    caFile: storage.caFile,
    get server() {
      return server;
    },
    renew,
  };
}
