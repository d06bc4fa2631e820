import { createHmac, timingSafeEqual } from "node:crypto";
import { IotError, sasCoversHub } from "@hubwire/protocol";
import type { ParsedSasToken } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type { ServicePermission } from "../services.ts";
import { permits } from "./policies.ts";
import type { Policy } from "./policies.ts";
import { quote, readToken, requireScope, requireSignature, requireUnexpired } from "./tokens.ts";

/** What a back end may do on an AMQP connection, from one token. */
export type ServiceGrant = {
  /** `hub`: IoT Hub's own addresses. `entity`: the Event Hubs-compatible endpoint, below `path`. */
  kind: "hub" | "entity";
  /** Path segments the token is for, without the host; [] covers everything. */
  path: readonly string[];
  permits(permission: ServicePermission): boolean;
  /** Wall clock, ms, tolerance included. */
  expiresAtMs: number;
};

export type ServiceTokens = {
  /** @throws IotError `auth.token_malformed`, `auth.policy_unknown`, `auth.token_scope`, `auth.token_signature`, `auth.token_expired` */
  read(text: string): ServiceGrant;
  /**
   * SASL PLAIN: a policy's name with its key (Event Hubs) or with a token (`{policy}@sas.root.{hub}`, IoT Hub).
   * @throws IotError as `read`
   */
  readPlain(userName: string, password: string): ServiceGrant;
};

export type ServiceTokensOptions = {
  policies: readonly Policy[];
  clock: Pick<Clock, "wallMs">;
  /** Names of this hub, without port; empty takes any. */
  hostNames: readonly string[];
  clockToleranceS: number;
};

const scheme = /^[a-z][a-z0-9+.-]*:\/\//i;

/**
 * Tokens as `$cbs` takes them. The same policy key signs twice: for IoT Hub it is base64 for the key's bytes, for the Event
 * Hubs-compatible endpoint its characters are the key (observed in @azure/core-amqp). Which of the two it is, the resource
 * tells: only an Event Hubs resource is a URI with a scheme.
 */
export function createServiceTokens(options: ServiceTokensOptions): ServiceTokens {
  const { policies, clock, clockToleranceS } = options;

  const find = (name: string | undefined): Policy => {
    const policy = policies.find((known) => known.name === name);
    if (policy !== undefined) return policy;
    const what =
      name === undefined ? "The token names no policy (skn)" : `No policy ${quote(name)}`;
    throw new IotError("auth.policy_unknown", what);
  };
  const grant = (kind: "hub" | "entity", path: string[], policy: Policy, expiresAtMs: number) => ({
    kind,
    path,
    permits: (permission: ServicePermission) => permits(policy, permission),
    expiresAtMs,
  });
  const isOurs = (host: string): boolean => {
    const bare = host.toLowerCase().replace(/:\d{1,5}$/, "");
    return (
      options.hostNames.length === 0 ||
      options.hostNames.some((name) => name.toLowerCase() === bare)
    );
  };

  const read = (text: string): ServiceGrant => {
    const token = readToken(text);
    const policy = find(token.policyName);
    const expiresAtMs = (token.expiresAtS + clockToleranceS) * 1000;
    const wanted = options.hostNames[0] ?? "this hub";
    if (!scheme.test(token.resource)) {
      const [host = ""] = token.resource.split("/");
      const names = options.hostNames.length === 0 ? [host] : options.hostNames;
      requireScope(token, sasCoversHub(token, names), wanted);
      requireSignature(token, policy, `policy ${policy.name}`);
      requireUnexpired(token, clock.wallMs(), clockToleranceS);
      return grant("hub", [], policy, expiresAtMs);
    }
    const [host = "", ...path] = token.resource.replace(scheme, "").split("/");
    requireScope(token, isOurs(host), wanted);
    requireTextSignature(token, policy);
    requireUnexpired(token, clock.wallMs(), clockToleranceS);
    const segments = path.filter((segment) => segment !== "");
    return grant("entity", segments, policy, expiresAtMs);
  };

  return {
    read,
    readPlain(userName, password) {
      if (password.startsWith("SharedAccessSignature ")) return read(password);
      const policy = find(userName);
      const good = [policy.primaryKey, policy.secondaryKey].some((key) => sameText(key, password));
      if (good) return grant("entity", [], policy, Infinity);
      throw new IotError("auth.token_signature", `The password is no key of policy ${policy.name}`);
    },
  };
}

function requireTextSignature(token: ParsedSasToken, policy: Policy): void {
  const text = `${token.rawResource}\n${token.rawExpiry}`;
  const good = [policy.primaryKey, policy.secondaryKey].some((key) =>
    sameText(createHmac("sha256", key).update(text).digest("base64"), token.signature),
  );
  if (good) return;
  throw new IotError(
    "auth.token_signature",
    `The signature was not made with the text of a key of policy ${policy.name}; for Event Hubs the key's characters are the key, not the bytes they stand for`,
  );
}

function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
