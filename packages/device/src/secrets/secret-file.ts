import type { Stats } from "node:fs";
import { isAbsolute, join } from "node:path";
import { IotError } from "@hubwire/protocol";
import { invalid } from "../calls/errors.ts";
import type { SecretSource } from "../credentials/secret.ts";
import { readBounded, secretText } from "./read-bounded.ts";

/** What systemd takes for one credential. */
const bytesMax = 1024 * 1024;

export type SecretFileOptions = {
  /**
   * Who else may read the file: nobody (`owner`, the default), its group (a Kubernetes secret with `fsGroup`) or anyone (a
   * Docker secret, in a container of its own). Nobody else may ever write to it.
   */
  readableBy?: "owner" | "group" | "anyone";
};

const forbidden = { owner: 0o077, group: 0o027, anyone: 0o022 } as const;

/** A secret in a file of its own, as text; one line end after it is left out. */
export function secretFile(file: string, options: SecretFileOptions = {}): SecretSource {
  const { readableBy = "owner" } = options;
  if (!Object.hasOwn(forbidden, readableBy)) {
    throw invalid(`readableBy is owner, group or anyone, not ${String(readableBy)}`);
  }
  const name = `the file ${file}`;
  return {
    name,
    read: async () => {
      const check = (stats: Stats): void => checkRights(name, stats, forbidden[readableBy]);
      return secretText(await readBounded(file, bytesMax, check), name);
    },
  };
}

/**
 * A credential systemd gave to this service: `LoadCredential=`, `LoadCredentialEncrypted=`, `SetCredential=`. Better than the
 * environment, which child processes inherit, and than a file of one's own: the encrypted kind is sealed to the machine's TPM.
 * @param id as in the unit; no path
 * @throws IotError `argument.invalid`
 * @see systemd.exec(5), "Credentials"
 */
export function systemdCredential(id: string): SecretSource {
  if (!isCredentialId(id)) {
    throw invalid("The name of a systemd credential is a plain file name, without slashes");
  }
  const name = `the systemd credential ${id}`;
  return {
    name,
    read: async () => {
      const folder = process.env["CREDENTIALS_DIRECTORY"];
      if (folder === undefined || folder === "") {
        const text = `${name}: CREDENTIALS_DIRECTORY is not set, so no unit gave this process credentials`;
        throw new IotError("secret.missing", text);
      }
      if (!isAbsolute(folder)) {
        throw new IotError("secret.unreadable", `${name}: CREDENTIALS_DIRECTORY is no full path`);
      }
      // For a service with a user of its own systemd grants reading by an access control list, which shows as group rights.
      const check = (stats: Stats): void => checkRights(name, stats, forbidden.group);
      return secretText(await readBounded(join(folder, id), bytesMax, check), name);
    },
  };
}

const isCredentialId = (id: unknown): id is string =>
  typeof id === "string" && /^[\w.@+~:-]{1,255}$/u.test(id) && id !== "." && id !== "..";

function checkRights(name: string, { mode }: Stats, mask: number): void {
  // Windows makes these bits up.
  if (process.platform === "win32" || (mode & mask) === 0) return;
  const rights = (mode & 0o777).toString(8).padStart(4, "0");
  throw new IotError("secret.exposed", `${name} has the rights ${rights}`);
}
