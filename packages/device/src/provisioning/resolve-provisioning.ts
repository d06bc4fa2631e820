import {
  dpsApiVersion,
  dpsCertificateApiVersion,
  dpsGlobalHost,
  encodeRegisterBody,
  formatDpsUsername,
  isIdScope,
  normalRegistrationId,
} from "@hubwire/protocol/dps";
import type { Dial } from "@hubwire/transport";
import { invalid } from "../calls/errors.ts";
import type { Credentials } from "../credentials/credentials.ts";
import { checkNumber, numberOption } from "../options/bounds.ts";
import type { ConnectOptions, DeviceOptions } from "../options/options.ts";
import { clientType, endpointOf, resolveOptions } from "../options/resolve.ts";
import type { Settings } from "../options/settings.ts";
import type { AssignmentStore } from "./assignment-store.ts";
import { proofOf } from "./attestation.ts";
import { fileAssignmentStore } from "./file-assignment-store.ts";
import { HubProvisioner } from "./hub-provisioner.ts";
import { IssuedCertificate } from "./issued-certificate.ts";
import type { ProvisioningOptions } from "./provisioning-options.ts";
import { Registrar } from "./registrar.ts";

/** Stands for the hub until there is one; never dialled (RFC 2606). */
const noHub = "unassigned.invalid";

/**
 * Settings of a device whose hub the provisioning service names.
 * @throws IotError `argument.invalid`, `transport.tls_credentials`
 */
export function resolveProvisioned(
  options: ConnectOptions & { provisioning: ProvisioningOptions },
): Settings {
  const { provisioning, ...others } = options;
  checkNames(provisioning);
  checkAlone(others);
  const { idScope, provisioningHost = dpsGlobalHost, payload } = provisioning;
  if (typeof idScope !== "string" || !isIdScope(idScope)) {
    throw invalid("provisioning.idScope is not an ID scope, such as 0ne00000000");
  }
  if (typeof provisioning.registrationId !== "string") {
    throw invalid("provisioning.registrationId is missing");
  }
  if (typeof provisioningHost !== "string" || !/^[^\s/:@]+$/.test(provisioningHost)) {
    throw invalid("provisioning.provisioningHost is a host name, without scheme and port");
  }
  const registrationId = normalRegistrationId(provisioning.registrationId);
  const proof = proofOf(provisioning, registrationId);
  const { certificateRequest } = provisioning;
  const csr = certificateRequest === undefined ? undefined : bareBase64(certificateRequest.csr);
  encodeRegisterBody({ registrationId, payload, csr });
  const credentials: Credentials = { hostName: noHub, deviceId: registrationId, ...proof };
  const settings = resolveOptions({ ...(others as DeviceOptions), credentials });
  const registrar = new Registrar({
    host: provisioningHost,
    port: provisioning.port === undefined ? 8883 : numberOption("port", provisioning.port),
    idScope,
    registrationId,
    username: formatDpsUsername({
      idScope,
      registrationId,
      apiVersion:
        provisioning.apiVersion ?? (csr === undefined ? dpsApiVersion : dpsCertificateApiVersion),
      clientVersion: clientType,
    }),
    payload,
    csr,
    provider: () => settings.credentials,
    dial: dialOf(provisioning, settings),
    clock: settings.clock,
    random: settings.random,
    attemptTimeoutMs: settings.attemptTimeoutMs,
    timeoutMs: timeoutOf(provisioning),
  });
  const provisioner = new HubProvisioner({
    provisioningHost,
    idScope,
    registrationId,
    reprovision: reprovisionOf(provisioning),
    refusalsBeforeReprovision: refusalsOf(provisioning),
    store: storeOf(provisioning.remember),
    clock: settings.clock,
    onError: settings.onError,
    register: (signal) => registrar.register(signal),
    endpointFor: (hostName, deviceId) =>
      endpointOf(
        {
          identity: { deviceId },
          hostName,
          dialHost: hostName,
          clientId: deviceId,
          certificate: undefined,
        },
        options,
      ),
  });
  settings.provisioner = provisioner;
  if (certificateRequest !== undefined) {
    const chain = () => provisioner.provisioned?.issuedCertificateChain;
    settings.credentials = new IssuedCertificate(
      settings.credentials,
      certificateRequest.key,
      chain,
    );
  }
  return settings;
}

const names: ReadonlySet<string> = new Set<string>([
  "idScope",
  "registrationId",
  "provisioningHost",
  "port",
  "payload",
  "remember",
  "reprovision",
  "refusalsBeforeReprovision",
  "timeoutMs",
  "apiVersion",
  "certificateRequest",
  "openStream",
  "symmetricKey",
  "groupKey",
  "certificate",
  "sign",
  "provider",
]);

function checkNames(provisioning: unknown): void {
  if (typeof provisioning !== "object" || provisioning === null) {
    throw invalid("provisioning is { idScope, registrationId, … }");
  }
  for (const name of Object.keys(provisioning)) {
    if (!names.has(name)) throw invalid(`There is no option provisioning.${name}`);
  }
}

/** What says elsewhere which hub and which device. */
const elsewhere = [
  "connectionString",
  "credentials",
  "certificate",
  "hostName",
  "clientId",
  "username",
  "password",
] as const;

function checkAlone(others: object): void {
  const given = elsewhere.find((name) => (others as Record<string, unknown>)[name] !== undefined);
  if (given !== undefined)
    throw invalid(`provisioning finds the hub and the device: leave ${given} out`);
}

function dialOf({ openStream }: ProvisioningOptions, settings: Settings): Dial {
  return openStream === undefined ? settings.dial : (_target, signal) => openStream(signal);
}

function timeoutOf({ timeoutMs = 120_000 }: ProvisioningOptions): number {
  checkNumber("provisioning.timeoutMs", timeoutMs, 1_000, 3_600_000);
  return timeoutMs;
}

function refusalsOf({ refusalsBeforeReprovision = 3 }: ProvisioningOptions): number {
  checkNumber("provisioning.refusalsBeforeReprovision", refusalsBeforeReprovision, 1, 1_000);
  return refusalsBeforeReprovision;
}

function reprovisionOf({ reprovision = "when-refused" }: ProvisioningOptions) {
  if (["when-refused", "at-start", "never"].includes(reprovision)) return reprovision;
  throw invalid(`provisioning.reprovision is "when-refused", "at-start" or "never"`);
}

function storeOf(remember: ProvisioningOptions["remember"]): AssignmentStore | undefined {
  if (remember === undefined) return undefined;
  if ("path" in remember) {
    if (typeof remember.path === "string" && remember.path !== "") {
      return fileAssignmentStore(remember.path);
    }
  } else if (typeof remember.load === "function" && typeof remember.save === "function") {
    return remember;
  }
  throw invalid("provisioning.remember is { path } or a store with load and save");
}

/** The service wants the request without its armour. */
function bareBase64(csr: unknown): string {
  const text = typeof csr === "string" ? csr.replaceAll(/-----[^-]+-----|\s+/g, "") : "";
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return text;
  throw invalid("provisioning.certificateRequest.csr is neither PEM nor base64 of DER");
}
