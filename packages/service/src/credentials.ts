import { IotError, buildSasToken, parseServiceConnectionString } from "@hubwire/protocol";
import type { Sign } from "@hubwire/protocol";
import { signWithKey } from "./sign.ts";

/** Who calls: a shared access policy by its connection string, by a signer that keeps its key, or by ready-made tokens. */
export type Credentials =
  | { connectionString: string }
  | { hostName: string; policyName: string; sign: Sign }
  | {
      hostName: string;
      /** A value for `Authorization`: `SharedAccessSignature …` or `Bearer …`. Asked for each request. */
      token: () => string | Promise<string>;
    };

/** Where the hub is and how a request proves who sends it. */
export type Access = {
  /** Without port. */
  hostName: string;
  /** From the host name; undefined when it names none. */
  port: number | undefined;
  /** Of a policy; undefined with ready-made tokens. */
  policy: { name: string; sign: Sign } | undefined;
  /** A current token for the whole hub. */
  token(): Promise<string>;
};

const lifetimeS = 3600;
/** A token is used until so much of its life is left. */
const renewBeforeS = 900;

/** @throws IotError `connection_string.*`, `argument.invalid` */
export function accessOf(credentials: Credentials, nowMs: () => number = Date.now): Access {
  if ("token" in credentials) {
    const { token } = credentials;
    return { ...addressOf(credentials.hostName), policy: undefined, token: async () => token() };
  }
  const { host, policyName, sign } = read(credentials);
  const address = addressOf(host);
  let current: { text: string; renewAtS: number } | undefined;
  return {
    ...address,
    policy: { name: policyName, sign },
    async token() {
      const nowS = Math.floor(nowMs() / 1000);
      if (current !== undefined && nowS < current.renewAtS) return current.text;
      const scope = { resource: address.hostName, expiresAtS: nowS + lifetimeS, policyName };
      const text = await buildSasToken(scope, sign);
      current = { text, renewAtS: nowS + lifetimeS - renewBeforeS };
      return text;
    },
  };
}

function read(credentials: Exclude<Credentials, { token: unknown }>): {
  host: string;
  policyName: string;
  sign: Sign;
} {
  if (!("connectionString" in credentials)) {
    return { ...credentials, host: credentials.hostName };
  }
  const parsed = parseServiceConnectionString(credentials.connectionString);
  return {
    host: parsed.hostName,
    policyName: parsed.sharedAccessKeyName,
    sign: signWithKey(parsed.sharedAccessKey),
  };
}

function addressOf(host: string): { hostName: string; port: number | undefined } {
  const match = /^(?<name>[^:/]+)(?::(?<port>\d{1,5}))?$/u.exec(host);
  if (match?.groups === undefined) {
    throw new IotError("argument.invalid", "hostName is a host name, with or without :port");
  }
  const { name = "", port } = match.groups;
  return { hostName: name, port: port === undefined ? undefined : Number(port) };
}
