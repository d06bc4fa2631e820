import type { ServiceGrant, ServiceTokens } from "../../domain/auth/index.ts";

/** What rhea asks of a mechanism: `start` sets `outcome`. */
type Mechanism = {
  outcome: boolean | undefined;
  username: string | undefined;
  start(response: Buffer | undefined): void;
};

export type SaslOptions = {
  hasCertificate: boolean;
  tokens: Pick<ServiceTokens, "readPlain">;
  onGrant: (grant: ServiceGrant) => void;
};

/**
 * The mechanisms of the service. MSSBCBS and ANONYMOUS let anybody in, who then has to put a token; a connection without
 * SASL does the same. EXTERNAL needs a client certificate.
 */
export function saslMechanisms(options: SaslOptions): Record<string, () => Mechanism> {
  const mechanism = (start: (response: Buffer | undefined) => boolean) => (): Mechanism => {
    const made: Mechanism = {
      outcome: undefined,
      username: undefined,
      start(response) {
        made.outcome = start(response);
      },
    };
    return made;
  };
  // Without prototype: a peer names the mechanism, and rhea looks it up here.
  const mechanisms = Object.create(null) as Record<string, () => Mechanism>;
  mechanisms["MSSBCBS"] = mechanism(() => true);
  mechanisms["ANONYMOUS"] = mechanism(() => true);
  mechanisms["EXTERNAL"] = mechanism(() => options.hasCertificate);
  mechanisms["PLAIN"] = mechanism((response) => {
    const [, userName, password] = (response ?? Buffer.alloc(0)).toString("utf8").split("\0");
    if (userName === undefined || password === undefined) return false;
    try {
      options.onGrant(options.tokens.readPlain(userName, password));
      return true;
    } catch {
      return false;
    }
  });
  return mechanisms;
}
