import type { X509Certificate } from "node:crypto";
import type { Clock } from "@hubwire/transport";
import { IotError, deviceCasMax } from "@hubwire/protocol";
import type { Document, DocumentStore } from "../ports.ts";
import { checkName, checkProof, readCa, type CaCertificate } from "./ca-certificate.ts";

export type StoredCa = CaCertificate & {
  /** Unquoted. */
  etag: string;
};

/**
 * The CAs whose certificates name devices by their CN. One counts once its owner has proven to hold its key, or has said so
 * at upload, as on Azure.
 */
export interface Certificates {
  list(): Promise<StoredCa[]>;
  /** @throws IotError `ca.not_found` */
  find(name: string): Promise<StoredCa>;
  /**
   * Without `ifMatch` a new one. A new certificate under an old name has to be proven again.
   * @throws IotError `ca.bad_name`, `ca.bad_certificate`, `ca.too_many`, `etag.mismatch`
   */
  upload(name: string, pem: string, isVerified: boolean, ifMatch?: string): Promise<StoredCa>;
  /** @throws IotError `ca.not_found`, `etag.mismatch` */
  delete(name: string, ifMatch?: string): Promise<void>;
  /** A new code; the one before is void. */
  generateCode(name: string, ifMatch?: string): Promise<StoredCa>;
  /** @throws IotError `ca.not_proven`, `ca.bad_certificate`, `ca.not_found`, `etag.mismatch` */
  verify(name: string, proofPem: string, ifMatch?: string): Promise<StoredCa>;
  /** The proven ones, for the check of a device's certificate. */
  trusted(): readonly X509Certificate[];
}

const prefix = "certificate/";
/** As long as the service's: 48 hexadecimal digits. */
const codeBytes = 24;

/** Reads what there is; from then on `trusted` answers without waiting. */
export async function createCertificates(parts: {
  documents: DocumentStore;
  clock: Clock;
  randomBytes: (length: number) => Uint8Array;
}): Promise<Certificates> {
  const { documents, clock, randomBytes } = parts;
  const trusted = new Map<string, X509Certificate>();

  const list = async (): Promise<StoredCa[]> =>
    (await documents.list("hub", { prefix, limit: deviceCasMax * 2 })).map(stored);

  const find = async (name: string): Promise<StoredCa> => {
    checkName(name);
    const document = await documents.get("hub", prefix + name);
    if (document !== undefined) return stored(document);
    throw new IotError("ca.not_found", `The hub has no CA named ${name}`);
  };

  const remember = (ca: StoredCa): StoredCa => {
    if (ca.isVerified) trusted.set(ca.name, readCa(ca.pem));
    else trusted.delete(ca.name);
    return ca;
  };

  const write = async (ca: CaCertificate, expected: number | "absent"): Promise<StoredCa> => {
    const result = await documents.put("hub", prefix + ca.name, ca, expected);
    if (result.ok) return remember({ ...ca, etag: etagOf(result.revision) });
    throw stale(ca.name);
  };

  /** Changes what is stored under its etag. */
  const change = async (
    name: string,
    ifMatch: string | undefined,
    how: (current: StoredCa) => Partial<CaCertificate>,
  ): Promise<StoredCa> => {
    const { etag, ...current } = await find(name);
    requireMatch(name, etag, ifMatch);
    const changed = { ...current, ...how({ ...current, etag }), updatedAtMs: clock.wallMs() };
    return write(changed, revisionOf(etag));
  };

  for (const ca of await list()) remember(ca);

  return {
    list,
    find,
    async upload(name, pem, isVerified, ifMatch) {
      checkName(name);
      readCa(pem);
      if (ifMatch !== undefined) {
        return change(name, ifMatch, () => ({ pem, isVerified, verificationCode: undefined }));
      }
      if ((await list()).length >= deviceCasMax) {
        throw new IotError("ca.too_many", `The hub has ${deviceCasMax} CAs already`);
      }
      const nowMs = clock.wallMs();
      const times = { createdAtMs: nowMs, updatedAtMs: nowMs };
      return write({ name, pem, isVerified, verificationCode: undefined, ...times }, "absent");
    },
    async delete(name, ifMatch) {
      const { etag } = await find(name);
      requireMatch(name, etag, ifMatch);
      const { ok } = await documents.delete("hub", prefix + name, revisionOf(etag));
      if (!ok) throw stale(name);
      trusted.delete(name);
    },
    generateCode(name, ifMatch) {
      const code = Buffer.from(randomBytes(codeBytes)).toString("hex").toUpperCase();
      return change(name, ifMatch, () => ({ verificationCode: code }));
    },
    verify(name, proofPem, ifMatch) {
      return change(name, ifMatch, ({ pem, verificationCode }) => {
        if (verificationCode === undefined) {
          throw new IotError("ca.not_proven", `No verification code was asked for ${name}`);
        }
        checkProof(readCa(pem), proofPem, verificationCode, clock.wallMs());
        return { isVerified: true, verificationCode: undefined };
      });
    },
    trusted: () => [...trusted.values()],
  };
}

const stored = ({ value, revision }: Document): StoredCa => ({
  ...(value as CaCertificate),
  etag: etagOf(revision),
});

const etagOf = (revision: number): string => Buffer.from(String(revision)).toString("base64");
const revisionOf = (etag: string): number => Number(Buffer.from(etag, "base64").toString());

function requireMatch(name: string, etag: string, ifMatch: string | undefined): void {
  if (ifMatch !== undefined && ifMatch !== "*" && ifMatch !== etag) throw stale(name);
}

const stale = (name: string): IotError =>
  new IotError("etag.mismatch", `The CA ${name} has changed, or is there already`);
