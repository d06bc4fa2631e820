import { bulkDevicesMax } from "@hubwire/protocol";
import type {
  BulkEntry,
  BulkResult,
  CallOptions,
  Device,
  DeviceWrite,
  Module,
  ModuleWrite,
} from "../types.ts";
import type { Call } from "./caller.ts";
import { devicePath, expectArray, expectObject, modulePath } from "./paths.ts";

/** `ifMatch`: an unquoted etag, or `*` for whatever is there. */
export type IfMatch = { ifMatch?: string | undefined };

/** Device identities. Every call throws `IotError`: `device.not_found`, `etag.mismatch`, `service.*`, `quota.throttled` … */
export type Identities = {
  get(deviceId: string, options?: CallOptions): Promise<Device>;
  /** At most `top`, at most 1000; in no order the service promises. For more, query. */
  list(options?: CallOptions & { top?: number }): Promise<Device[]>;
  /** @throws IotError `device.already_exists`, `identity.*` */
  create(device: DeviceWrite, options?: CallOptions): Promise<Device>;
  /** Replaces what can be written. Without `ifMatch`, only if it still is as `device.etag` says, else whatever it is. */
  update(device: DeviceWrite & { etag?: string }, options?: CallOptions & IfMatch): Promise<Device>;
  /** With its twin, its modules and its queue. Default `ifMatch`: `*`. */
  delete(deviceId: string, options?: CallOptions & IfMatch): Promise<void>;
  /**
   * Bulk import: creates, updates and deletes, 100 entries a request, in order. An entry that fails is a result, not an
   * exception; the others of its request may be done or not, as `errors` says.
   */
  bulk(entries: Iterable<BulkEntry>, options?: CallOptions): Promise<BulkResult>;
};

/** Identities of modules. */
export type Modules = {
  get(deviceId: string, moduleId: string, options?: CallOptions): Promise<Module>;
  list(deviceId: string, options?: CallOptions): Promise<Module[]>;
  /** @throws IotError `module.already_exists`, `device.not_found` */
  create(module: ModuleWrite, options?: CallOptions): Promise<Module>;
  /** As of a device. */
  update(module: ModuleWrite & { etag?: string }, options?: CallOptions & IfMatch): Promise<Module>;
  delete(deviceId: string, moduleId: string, options?: CallOptions & IfMatch): Promise<void>;
};

export function createIdentities(call: Call): Identities {
  const put = async (
    device: DeviceWrite,
    ifMatch: string | undefined,
    options?: CallOptions,
  ): Promise<Device> => {
    const path = devicePath(device.deviceId);
    const { json } = await call({ method: "PUT", path, body: device, ifMatch }, options);
    return expectObject(json, "device");
  };
  return {
    async get(deviceId, options) {
      const { json } = await call({ method: "GET", path: devicePath(deviceId) }, options);
      return expectObject(json, "device");
    },
    async list(options) {
      const query = options?.top === undefined ? {} : { top: String(options.top) };
      const { json } = await call({ method: "GET", path: ["devices"], query }, options);
      return expectArray(json, "devices");
    },
    create: (device, options) => put(device, undefined, options),
    update: (device, options) => put(device, options?.ifMatch ?? device.etag ?? "*", options),
    async delete(deviceId, options) {
      const ifMatch = options?.ifMatch ?? "*";
      await call({ method: "DELETE", path: devicePath(deviceId), ifMatch }, options);
    },
    async bulk(entries, options) {
      const result: BulkResult = { isSuccessful: true, errors: [], warnings: [] };
      for (const batch of batchesOf(entries)) {
        // oxlint-disable-next-line no-await-in-loop -- in order, and not more than one request of 100 at a time
        const part = await importBatch(call, batch, options);
        result.isSuccessful &&= part.isSuccessful;
        result.errors.push(...(part.errors ?? []));
        result.warnings.push(...(part.warnings ?? []));
      }
      return result;
    },
  };
}

async function importBatch(
  call: Call,
  body: readonly BulkEntry[],
  options: CallOptions | undefined,
): Promise<BulkResult> {
  const isResult = (json: unknown): json is BulkResult =>
    typeof json === "object" && json !== null && "isSuccessful" in json;
  const { json } = await call(
    {
      method: "POST",
      path: ["devices"],
      body,
      acceptBody: (status, value) => status === 400 && isResult(value),
    },
    options,
  );
  return expectObject(json, "bulk result");
}

function* batchesOf(entries: Iterable<BulkEntry>): Generator<BulkEntry[]> {
  let batch: BulkEntry[] = [];
  for (const entry of entries) {
    batch.push(entry);
    if (batch.length < bulkDevicesMax) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

export function createModules(call: Call): Modules {
  const put = async (
    module: ModuleWrite,
    ifMatch: string | undefined,
    options?: CallOptions,
  ): Promise<Module> => {
    const path = modulePath(module.deviceId, module.moduleId);
    const { json } = await call({ method: "PUT", path, body: module, ifMatch }, options);
    return expectObject(json, "module");
  };
  return {
    async get(deviceId, moduleId, options) {
      const path = modulePath(deviceId, moduleId);
      const { json } = await call({ method: "GET", path }, options);
      return expectObject(json, "module");
    },
    async list(deviceId, options) {
      const path = [...devicePath(deviceId), "modules"];
      const { json } = await call({ method: "GET", path }, options);
      return expectArray(json, "modules");
    },
    create: (module, options) => put(module, undefined, options),
    update: (module, options) => put(module, options?.ifMatch ?? module.etag ?? "*", options),
    async delete(deviceId, moduleId, options) {
      const path = modulePath(deviceId, moduleId);
      await call({ method: "DELETE", path, ifMatch: options?.ifMatch ?? "*" }, options);
    },
  };
}
