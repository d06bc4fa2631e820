import { methodConnectTimeoutSDefault, methodResponseTimeoutSDefault } from "@hubwire/protocol";
import type { CallOptions, MethodResult, Ref, Twin, TwinPatch } from "../types.ts";
import type { Call } from "./caller.ts";
import type { IfMatch } from "./identities.ts";
import { expectObject, twinPath } from "./paths.ts";

/** Twins of devices and modules. */
export type Twins = {
  get(ref: Ref, options?: CallOptions): Promise<Twin>;
  /** Merges into tags and desired properties; null deletes. Without `ifMatch` it goes on whatever is there. */
  update(ref: Ref, patch: TwinPatch, options?: CallOptions & IfMatch): Promise<Twin>;
  /** Replaces the sections given. */
  replace(ref: Ref, twin: TwinPatch, options?: CallOptions & IfMatch): Promise<Twin>;
};

export function createTwins(call: Call): Twins {
  const write =
    (method: "PATCH" | "PUT") =>
    async (ref: Ref, body: TwinPatch, options?: CallOptions & IfMatch): Promise<Twin> => {
      const ifMatch = options?.ifMatch;
      const { json } = await call({ method, path: twinPath(ref), body, ifMatch }, options);
      return expectObject(json, "twin");
    };
  return {
    async get(ref, options) {
      const { json } = await call({ method: "GET", path: twinPath(ref) }, options);
      return expectObject(json, "twin");
    },
    update: write("PATCH"),
    replace: write("PUT"),
  };
}

export type MethodCall = {
  name: string;
  /** Any JSON value. Default null. */
  payload?: unknown;
  /** How long the device may take, seconds, 5 to 300. Default 30. */
  responseTimeoutS?: number;
  /** How long to wait for the device to connect, seconds, up to 300. Default 0: it must be connected. */
  connectTimeoutS?: number;
};

/** Direct methods of devices and modules. */
export type Methods = {
  /** @throws IotError `device.not_online`, `method.timeout`, `method.bad_response`, `device.not_found` … */
  invoke(ref: Ref, method: MethodCall, options?: CallOptions): Promise<MethodResult>;
};

/** The hub answers within the call's own times; this is for the way. */
const wayMs = 10_000;

export function createMethods(call: Call): Methods {
  return {
    async invoke(ref, method, options) {
      const responseTimeoutInSeconds = method.responseTimeoutS ?? methodResponseTimeoutSDefault;
      const connectTimeoutInSeconds = method.connectTimeoutS ?? methodConnectTimeoutSDefault;
      const ownMs = (responseTimeoutInSeconds + connectTimeoutInSeconds) * 1000;
      const body = {
        methodName: method.name,
        payload: method.payload ?? null,
        responseTimeoutInSeconds,
        connectTimeoutInSeconds,
      };
      const path = [...twinPath(ref), "methods"];
      const timeoutMs = options?.timeoutMs ?? ownMs + wayMs;
      const { json } = await call({ method: "POST", path, body }, { ...options, timeoutMs });
      return expectObject(json, "answer of a method");
    },
  };
}
