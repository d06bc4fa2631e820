import type { Sign } from "@hubwire/protocol";
import type { CredentialProvider } from "./provider.ts";
import type { OnRotated } from "./rotation.ts";
import type { Secret } from "./secret.ts";

/** PEM text, as a string or as the bytes of a file. */
export type Pem = string | Uint8Array;

/** An X.509 identity in memory. For CA-signed devices `chain` holds the intermediates up to the CA the hub knows. */
export type CertificateText = {
  /** The leaf; may already be followed by its intermediates. */
  cert: Pem;
  /** Its private key. */
  key: Pem;
  /** Intermediates, nearest to the leaf first. */
  chain?: Pem;
  /** For an encrypted `key`. */
  passphrase?: Secret;
  /**
   * Days before its end at which `onError` is told, each once: 30, 14, 7 and 1, of these the ones within the second half of
   * its life.
   */
  expiryWarningDays?: readonly number[];
  certFile?: never;
  keyFile?: never;
  chainFile?: never;
};

/**
 * An X.509 identity in PEM files. They are watched: when new ones are in their place, as renamed or rewritten files or behind
 * an exchanged symbolic link, the client changes over without losing anything. Files that do not belong together are waited
 * for, and when the hub refuses the new certificate the old one stays in use.
 */
export type CertificateFiles = {
  /** The leaf; may already be followed by its intermediates. */
  certFile: string;
  /** Its private key. */
  keyFile: string;
  /** Intermediates, nearest to the leaf first. */
  chainFile?: string;
  /** For an encrypted key; a source is read again with each new key. */
  passphrase?: Secret;
  /**
   * Days before its end at which `onError` is told, each once: 30, 14, 7 and 1, of these the ones within the second half of
   * its life.
   */
  expiryWarningDays?: readonly number[];
  /**
   * How often the files are looked at besides the notices of the file system, which are missing on some network and
   * container file systems: 30000 milliseconds, 100 to 86400000.
   */
  pollMs?: number;
  cert?: never;
  key?: never;
  chain?: never;
};

export type ClientCertificate = CertificateText | CertificateFiles;

/** How a device proves who it is: exactly one of these. */
export type SingleProof =
  | {
      /** Base64, or where it is; the device's own key, or a policy's when `sharedAccessKeyName` is given. */
      sharedAccessKey: Secret;
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
  | {
      /** X.509, as text or as files that are watched. */
      certificate: ClientCertificate;
    }
  | {
      /** HMAC-SHA256 in a hardware module: the key never enters this process. */
      sign: Sign;
    }
  | {
      /** Anything else that can prove it. */
      provider: CredentialProvider;
    };

/** One proof in use and one to change to: each of any kind. */
export type RotatingProof = {
  /** The one in use. */
  current: SingleProof;
  /**
   * Tried as soon as `current` has connected, or was refused. When the hub takes it, it is used from then on; when the hub
   * refuses it, `current` goes on.
   */
  next: SingleProof;
  /** Told which of the two counts from now on, to store it for the next start. */
  onRotated?: OnRotated;
};

export type Proof = SingleProof | RotatingProof;

/** Who connects where, and the proof. */
export type Credentials = {
  /** The hub's name, such as `myhub.azure-devices.net`; also what tokens and the user name carry. */
  hostName: string;
  /** As it was registered; upper and lower case differ. */
  deviceId: string;
  /** For a module of that device. */
  moduleId?: string;
  /** Dial this host instead; user name and tokens keep naming `hostName`. */
  gatewayHostName?: string;
} & Proof;
