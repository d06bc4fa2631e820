/// <reference lib="esnext.disposable" preserve="true" />
import { X509Certificate } from "node:crypto";
import type { Credential, Pem } from "@hubwire/device";
import { IotError } from "@hubwire/protocol";
import { checkEngine, engineLost, prepareEngine } from "./engine.ts";
import { keyIdBytes } from "./keys.ts";
import type { KeyChoice } from "./keys.ts";
import type { Pin } from "./pin.ts";
import { checkPossession } from "./possession.ts";
import { TokenSession } from "./token-session.ts";
import type { OpenToken } from "./token-session.ts";
import type { TokenChoice } from "./tokens.ts";
import { formatKeyUri, parseKeyUri } from "./uri.ts";

export type Pkcs11CertificateOptions = TokenChoice &
  KeyChoice & {
    /** The certificate issued for the key, PEM; may already be followed by its intermediates. */
    cert: Pem;
    /** Intermediates, nearest to the certificate first. */
    chain?: Pem | undefined;
    /** Path of the PKCS#11 module. */
    library: string;
    /** `pkcs11:` URI of the private key (RFC 7512), instead of token and key by name. A PIN in it is used and taken out. */
    uri?: string | undefined;
    /** The token's user PIN; may be left out when `uri` has `pin-value` or `pin-source`. */
    pin?: Pin | undefined;
    /** Path of libp11's engine (`…/engines-3/pkcs11.so`); found by itself on Debian and its relatives. */
    engine?: string | undefined;
  };

/** What a TLS handshake needs of a client. */
export type TlsIdentity = NonNullable<Credential["tls"]>;

/** A certificate whose key stays in its token. */
export type Pkcs11Certificate = AsyncDisposable & {
  /**
   * Looks after the token (logged in, the key there, the pair right the first time) and gives what the handshake needs,
   * always the same object. Ask anew before each connection.
   * @throws IotError `pkcs11.*`; `pkcs11.engine_stale` when the token was away
   */
  identity(): Promise<TlsIdentity>;
  /** Unix milliseconds: the certificate's notAfter. */
  readonly expiresAtMs: number;
  close(): Promise<void>;
};

/**
 * An X.509 identity whose private key stays in a PKCS#11 token, for TLS by OpenSSL's engine interface (Node's
 * `privateKeyEngine`) and libp11's engine.
 *
 * - A token that was away needs a new process: libp11 does not find back to it (`pkcs11.engine_stale`).
 * - OpenSSL has deprecated engines since 3.0 and drops them in 4.0. Node 20 to 26 have them; a later one will need another way.
 * - Sets PKCS11_MODULE_PATH and OPENSSL_ENGINES for the whole process: one module per process, see `prepareEngine`.
 * - The PIN never gets to OpenSSL: this process logs in itself and stays logged in until `close`, which a token lets all of
 *   a process's sessions share. In an URI the PIN would land on standard error as soon as libp11 misses the key.
 * @throws IotError `argument.invalid`, `pkcs11.engine`, `pkcs11.pin`
 */
export function pkcs11Certificate(options: Pkcs11CertificateOptions): Pkcs11Certificate {
  const { library, engine, ...named } = options;
  const { pin: uriPin, ...choice } =
    options.uri === undefined ? { ...named, pin: undefined } : parseKeyUri(options.uri);
  const { keyLabel } = choice;
  const keyId = keyIdBytes(choice.keyId);
  if (keyLabel === undefined && keyId === undefined)
    throw invalid("The private key needs keyLabel, keyId or a uri that names it");
  const pin = options.pin ?? uriPin;
  if (pin === undefined) throw new IotError("pkcs11.pin", "There is no PIN for the token");
  const cert = pemText(options.cert);
  const leaf = readLeaf(cert);
  const { slot, tokenLabel, tokenSerial } = choice;
  const token = new TokenSession({ library, pin, slot, tokenLabel, tokenSerial });
  const privateKeyEngine = prepareEngine(library, engine);
  const privateKeyIdentifier = formatKeyUri({ slot, tokenLabel, tokenSerial, keyLabel, keyId });
  const identity: TlsIdentity = {
    cert,
    ...(options.chain === undefined ? {} : { chain: pemText(options.chain) }),
    privateKeyEngine,
    privateKeyIdentifier,
  };
  let usedOpening: number | undefined;
  const close = (): Promise<void> => token.close();
  return {
    async identity() {
      checkEngine();
      // Each time, because without this login the engine would ask for the PIN on the terminal.
      await token.run("opening the token", (open) =>
        usedOpening === undefined
          ? checkPossession(open, { keyLabel, keyId }, leaf)
          : checkSession(open),
      );
      usedOpening ??= token.openings;
      if (usedOpening !== token.openings) engineLost();
      checkEngine();
      return identity;
    },
    expiresAtMs: Date.parse(leaf.validTo),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Throws, as the module has it, when the session went with its token. */
const checkSession = ({ module, session }: OpenToken): void =>
  void module.C_GetSessionInfo(session);

function readLeaf(cert: string): X509Certificate {
  try {
    return new X509Certificate(cert);
  } catch (cause) {
    throw new IotError("argument.invalid", "`cert` is not the PEM of a certificate", { cause });
  }
}

const pemText = (pem: Pem): string =>
  typeof pem === "string" ? pem : Buffer.from(pem).toString("utf8");

const invalid = (message: string): IotError => new IotError("argument.invalid", message);
