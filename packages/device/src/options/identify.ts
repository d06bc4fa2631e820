import {
  formatClientId,
  isDeviceId,
  isModuleId,
  isSystemModuleId,
  parseClientId,
  parseDeviceConnectionString,
} from "@hubwire/protocol";
import type { DeviceIdentity } from "@hubwire/protocol";
import { invalid } from "../calls/errors.ts";
import type { TlsIdentity } from "@hubwire/transport";
import type { Credentials } from "../credentials/credentials.ts";
import type { CredentialProvider } from "../credentials/provider.ts";
import {
  givenPassword,
  nothingToPresent,
  readyPasswords,
  signedPasswords,
  signWithKey,
} from "../credentials/passwords.ts";
import { prove, proveByCertificate } from "../credentials/proofs.ts";
import type { Proven } from "../credentials/proofs.ts";
import type { ConnectOptions } from "./options.ts";

/** Who connects where, by what proof. */
export type Identified = {
  identity: DeviceIdentity;
  hostName: string;
  /** What to dial. */
  dialHost: string;
  clientId: string;
  credentials: CredentialProvider;
  /** The certificate that was given as text, to be looked at before anything is dialled. */
  certificate: TlsIdentity | undefined;
};

type Named = { hostName: string; gatewayHostName?: string | undefined } & DeviceIdentity;

/**
 * Brings the three ways of saying who connects to one.
 * @throws IotError `argument.invalid`, `connection_string.*`, `sas.malformed`
 */
export function identify(options: ConnectOptions, tokenLifetimeS: number): Identified {
  const ways = [options.connectionString, options.credentials, options.hostName];
  if (ways.filter((way) => way !== undefined).length !== 1) {
    throw invalid("Pass one of connectionString, credentials, or hostName with clientId");
  }
  if (options.connectionString !== undefined) {
    if (typeof options.connectionString !== "string") throw invalid("connectionString is no text");
    return fromConnectionString(options.connectionString, options, tokenLifetimeS);
  }
  if (options.credentials !== undefined) {
    return fromCredentials(options.credentials, options, tokenLifetimeS);
  }
  return fromGuide(options);
}

function fromConnectionString(
  connectionString: string,
  options: ConnectOptions,
  tokenLifetimeS: number,
): Identified {
  const { auth, ...named } = parseDeviceConnectionString(connectionString);
  const { certificate } = options;
  if (auth.type === "x509") {
    if (certificate === undefined) {
      throw invalid(
        "The connection string says x509=true: pass certificate { cert, key } beside it",
      );
    }
    return complete(named, options, proveByCertificate(certificate));
  }
  if (certificate !== undefined) {
    throw invalid("The connection string has a key or token: leave certificate out");
  }
  const provider =
    auth.type === "token"
      ? readyPasswords(auth.sharedAccessSignature, undefined)
      : signedPasswords(
          { policyName: auth.sharedAccessKeyName, lifetimeS: tokenLifetimeS },
          signWithKey(auth.sharedAccessKey),
        );
  return complete(named, options, { provider, certificate: undefined });
}

function fromCredentials(
  credentials: Credentials,
  options: ConnectOptions,
  tokenLifetimeS: number,
): Identified {
  const { hostName, deviceId, moduleId } = credentials;
  if (typeof hostName !== "string" || hostName === "")
    throw invalid("credentials.hostName is missing");
  if (typeof deviceId !== "string" || !isDeviceId(deviceId)) {
    throw invalid("credentials.deviceId is not a valid device id");
  }
  if (moduleId !== undefined && !isModuleId(moduleId) && !isSystemModuleId(moduleId)) {
    throw invalid("credentials.moduleId is not a valid module id");
  }
  return complete(credentials, options, prove(credentials, tokenLifetimeS));
}

/** The guide's own way: `client_id`, `hostname`, `username`, `password`. */
function fromGuide(options: ConnectOptions): Identified {
  const { hostName, clientId, password, certificate } = options;
  if (hostName === undefined || hostName === "") throw invalid("hostName is empty");
  if (clientId === undefined) throw invalid("hostName needs clientId beside it, the device id");
  if ((password === undefined) === (certificate === undefined)) {
    throw invalid("hostName and clientId need either password (a SAS token) or certificate");
  }
  const named = { hostName, ...parseClientId(clientId) };
  const proven =
    certificate === undefined
      ? { provider: nothingToPresent(), certificate: undefined }
      : proveByCertificate(certificate);
  return complete(named, options, proven);
}

function complete(
  named: Named,
  options: ConnectOptions,
  { provider, certificate }: Proven,
): Identified {
  const { hostName, deviceId, moduleId } = named;
  const identity: DeviceIdentity = moduleId === undefined ? { deviceId } : { deviceId, moduleId };
  const clientId = formatClientId(identity);
  if (options.clientId !== undefined && options.clientId !== clientId) {
    throw invalid(
      `clientId is ${clientId} for this identity, not ${options.clientId}: IoT Hub refuses any other`,
    );
  }
  const { password } = options;
  return {
    identity,
    hostName,
    dialHost: named.gatewayHostName ?? hostName,
    clientId,
    credentials: password === undefined ? provider : givenPassword(password, certificate),
    certificate,
  };
}
