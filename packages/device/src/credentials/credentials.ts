import type { Sign } from "@hubwire/protocol";
import type { CredentialProvider } from "./provider.ts";

/** PEM text, as a string or as the bytes of a file. */
export type Pem = string | Uint8Array;

/** An X.509 identity. For CA-signed devices `chain` holds the intermediates up to the CA the hub knows. */
export type ClientCertificate = {
  /** The leaf; may already be followed by its intermediates. */
  cert: Pem;
  key: Pem;
  /** Intermediates, nearest to the leaf first. */
  chain?: Pem;
  /** For an encrypted `key`. */
  passphrase?: string;
};

/** How a device proves who it is: exactly one of these. */
export type Proof =
  | {
      /** Base64; the device's own key, or a policy's when `sharedAccessKeyName` is given. */
      sharedAccessKey: string;
      /** A shared access policy with DeviceConnect. */
      sharedAccessKeyName?: string;
    }
  | {
      /** A ready-made token, prefix included. */
      sharedAccessSignature: string;
      /**
       * Gives the next token, when this one is about to expire or was refused. Without it the hub cuts the connection some
       * time after the token's expiry, and the client then waits with `device.token_expired`.
       */
      refresh?: () => string | Promise<string>;
    }
  | { certificate: ClientCertificate }
  | {
      /** HMAC-SHA256 in a hardware module: the key never enters this process. */
      sign: Sign;
    }
  | {
      /** Anything else that can prove it. */
      provider: CredentialProvider;
    };

/** Who connects where, and the proof. */
export type Credentials = {
  /** The hub's name, such as `myhub.azure-devices.net`; also what tokens and the user name carry. */
  hostName: string;
  deviceId: string;
  moduleId?: string;
  /** Dial this host instead; user name and tokens keep naming `hostName`. */
  gatewayHostName?: string;
} & Proof;
