import { IotError } from "@hubwire/protocol";
import type { CallOptions } from "../types.ts";
import type { Call } from "./caller.ts";
import type { IfMatch } from "./identities.ts";
import { expectArray, expectObject } from "./paths.ts";

/** A CA of a hub, in the words of Azure's resource manager. */
export type CaCertificate = {
  name: string;
  etag: string;
  properties: {
    subject: string;
    expiry: string;
    /** SHA-1, hex. */
    thumbprint: string;
    isVerified: boolean;
    created: string;
    updated: string;
    /** Base64 of the PEM. */
    certificate: string;
    /** What the CN of the proof must be, while one is asked for. */
    verificationCode?: string;
  };
};

/**
 * The CAs whose certificates name devices. Only on a Hubwire hub: Azure keeps them with its resource manager, where `az iot hub
 * certificate` reaches them.
 */
export type CaCertificates = {
  list(options?: CallOptions): Promise<CaCertificate[]>;
  get(name: string, options?: CallOptions): Promise<CaCertificate>;
  /** `isVerified`: the uploader vouches for it, and no proof is needed. @throws IotError `ca.*` */
  upload(
    ca: { name: string; pem: string; isVerified?: boolean },
    options?: CallOptions & IfMatch,
  ): Promise<CaCertificate>;
  /** The answer has the `verificationCode`; one from before is void. */
  generateVerificationCode(name: string, options?: CallOptions): Promise<CaCertificate>;
  /** @throws IotError `ca.not_proven` */
  verify(name: string, proofPem: string, options?: CallOptions): Promise<CaCertificate>;
  delete(name: string, options?: CallOptions & IfMatch): Promise<void>;
};

export function createCaCertificates(call: Call): CaCertificates {
  const root = ["hubwire", "certificates"] as const;
  const path = (name: string): readonly (string | { id: string })[] => {
    if (/^[A-Za-z0-9._-]{1,64}$/u.test(name)) return [...root, { id: name }];
    throw new IotError("ca.bad_name", "This is no name for a CA");
  };
  return {
    async list(options) {
      const { json } = await call({ method: "GET", path: root }, options);
      return expectArray(expectObject<{ value: unknown }>(json, "list").value, "CAs");
    },
    async get(name, options) {
      const { json } = await call({ method: "GET", path: path(name) }, options);
      return expectObject(json, "CA");
    },
    async upload({ name, pem, isVerified = false }, options) {
      const body = { properties: { certificate: pem, isVerified } };
      const ifMatch = options?.ifMatch;
      const { json } = await call({ method: "PUT", path: path(name), body, ifMatch }, options);
      return expectObject(json, "CA");
    },
    async generateVerificationCode(name, options) {
      const codePath = [...path(name), "generateVerificationCode"];
      const { json } = await call({ method: "POST", path: codePath }, options);
      return expectObject(json, "CA");
    },
    async verify(name, certificate, options) {
      const verifyPath = [...path(name), "verify"];
      const { json } = await call(
        { method: "POST", path: verifyPath, body: { certificate } },
        options,
      );
      return expectObject(json, "CA");
    },
    async delete(name, options) {
      const ifMatch = options?.ifMatch ?? "*";
      await call({ method: "DELETE", path: path(name), ifMatch }, options);
    },
  };
}
