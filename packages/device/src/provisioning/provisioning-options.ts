import type { JsonValue, Sign } from "@hubwire/protocol";
import type { OpenStream } from "@hubwire/transport";
import type { ClientCertificate, Pem } from "../credentials/credentials.ts";
import type { CredentialProvider } from "../credentials/provider.ts";
import type { Secret } from "../credentials/secret.ts";
import type { AssignmentStore } from "./assignment-store.ts";

/** How a device proves to the provisioning service, and then to its hub, who it is: exactly one of these. */
export type Attestation =
  | {
      /** Base64, or where it is; the key of an individual enrolment. */
      symmetricKey: Secret;
    }
  | {
      /**
       * Base64, or where it is; the key of an enrolment group, from which this device's is derived. Whoever reads it out of one device can be
       * any device of the group: derive the key where devices are made, and give them `symmetricKey`.
       */
      groupKey: Secret;
    }
  | {
      /** Its CN is the registration id. */
      certificate: ClientCertificate;
    }
  | {
      /** HMAC-SHA256 with the device's own key, which stays in hardware. */
      sign: Sign;
    }
  | {
      /** Anything else. For the service it is asked with `resource` and `policyName` in the scope. */
      provider: CredentialProvider;
    };

/** Provisioning by the Device Provisioning Service (DPS). Numbers carry their unit at the end of their name. */
export type ProvisioningOptions = {
  /** Says which service: "ID scope" on its overview page. */
  idScope: string;
  /** The device's name in the enrolment; upper and lower case are the same. */
  registrationId: string;
  /** Host of the service, `global.azure-devices-provisioning.net`. */
  provisioningHost?: string;
  /** Port of the service, 8883. */
  port?: number;
  /** Given to the function of a custom allocation policy; any JSON value, 96 KB with the rest of the request. */
  payload?: JsonValue;
  /**
   * Where the assignment is kept for the next start: a file (`{ path }`, written whole, mode 0600), or a store of your own.
   * Without it the service is asked at every start. It holds no key and no token; it holds the payload the service returned.
   */
  remember?: AssignmentStore | { path: string };
  /**
   * When a device that has an assignment asks again, "when-refused": after `refusalsBeforeReprovision` refusals of its hub.
   * "at-start": then, and at every start, falling back on what it remembers while the service cannot be reached. "never":
   * what is remembered holds.
   */
  reprovision?: "when-refused" | "at-start" | "never";
  /**
   * Refusals of the hub in a row before the service is asked, 3, 1 to 1000. Twice as many each time that asking changed
   * nothing, up to 32 times: a fleet of disabled devices must not throttle the service for the others.
   */
  refusalsBeforeReprovision?: number;
  /** How long one registration may take, 120000, 1000 to 3600000; an allocation function may be slow to start. */
  timeoutMs?: number;
  /** The `api-version`, 2019-03-31; with `certificateRequest` 2025-07-01-preview. */
  apiVersion?: string;
  /**
   * Preview: asks the service to issue the certificate the device then shows its hub.
   * `csr`: PKCS#10, PEM or base64 of DER, CN = registration id. `key`: the private key it was signed with; it stays here.
   */
  certificateRequest?: { csr: string; key: Pem };
  /** For simulation: opens the stream to the service instead of TLS to `provisioningHost`. */
  openStream?: OpenStream;
} & Attestation;
