import { IotError, isDeviceId, isModuleId, modulesPerDeviceMax } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type { C2dQueueStore, Document, DocumentStore } from "../ports.ts";
import { marksOf } from "../credential-marks.ts";
import type { CredentialMark } from "../credential-marks.ts";
import { generationKey, identityKey } from "../services.ts";
import type {
  Identities,
  Identity,
  IdentityRef,
  IdentityWrite,
  RevocationListener,
} from "../services.ts";
import { completeAuthentication, losesCredential } from "./credentials.ts";
import { deleteDecided, putDecided } from "./decided.ts";
import { etagOf, firstCounter, Generations, type RandomBytes } from "./mint.ts";
import { identityOf, recordOf, type IdentityRecord } from "./record.ts";
import { Serial } from "./serial.ts";
import { shareRuns } from "./shared-run.ts";
import { sweepLeftovers } from "./sweep.ts";

/** Azure IoT Hub docs, identity registry. */
const statusReasonCharactersMax = 128;
/** Registry writes that may wait for one device. */
const writesWaitingMax = 1_000;
/** Another writer wins at most this often before a write with `*` gives up. */
const attemptsMax = 32;
const pageSize = 500;

export type IdentitiesOptions = {
  documents: DocumentStore;
  clock: Clock;
  randomBytes: RandomBytes;
  /** When given, the queue of a deleted device is removed with it, and `sweep` looks for orphaned queues. */
  c2d?: C2dQueueStore;
  /** An identity was created or deleted, and the write is committed. */
  onLifecycle?: ((operation: "create" | "delete", identity: Identity) => void) | undefined;
};

type Found = { document: Document; record: IdentityRecord; device: IdentityRecord };

/**
 * The identity registry: devices and modules over one collection of documents with compare-and-set.
 * A device is one document, and a module counts only while its device lives the same life (generation), so that deleting a
 * device with all its modules is one write. What a dead life leaves behind (modules, twin, session, C2D queue) is removed
 * after the commit and, should that fail, by `sweep`.
 */
export class DocumentIdentities implements Identities {
  readonly #documents: DocumentStore;
  readonly #clock: Clock;
  readonly #randomBytes: RandomBytes;
  readonly #c2d: C2dQueueStore | undefined;
  readonly #onLifecycle: IdentitiesOptions["onLifecycle"];
  readonly #generations: Generations;
  readonly #writes = new Serial(writesWaitingMax);
  readonly #revoked = new Set<RevocationListener>();

  constructor(options: IdentitiesOptions) {
    this.#documents = options.documents;
    this.#clock = options.clock;
    this.#randomBytes = options.randomBytes;
    this.#c2d = options.c2d;
    this.#onLifecycle = options.onLifecycle;
    this.#generations = new Generations(options.randomBytes);
  }

  async find(ref: IdentityRef): Promise<Identity | undefined> {
    const found = await this.#find(ref);
    return found && identityOf(found.record, found.device);
  }

  /** @throws IotError `device.already_exists`, `module.already_exists`, `device.not_found`, `device.too_many_modules`, `identity.*` */
  async create(write: IdentityWrite): Promise<Identity> {
    checkWrite(write);
    const authentication = completeAuthentication(write.authentication, this.#randomBytes);
    return this.#writes.run(write.deviceId, async () => {
      const device = write.moduleId === undefined ? undefined : await this.#hostOf(write);
      const record: IdentityRecord = {
        ...this.#writable(write),
        generationId: this.#generations.next(this.#clock.wallMs()),
        counter: firstCounter(this.#randomBytes),
        authentication,
        deviceGenerationId: device?.generationId,
      };
      const key = identityKey(write);
      const orphan = device && (await this.#orphanAt(key, device));
      const expected = orphan?.revision ?? "absent";
      const put = await putDecided(this.#documents, "identities", key, record, expected);
      if (!put.ok) throw alreadyExists(write);
      const identity = identityOf(record, device ?? record);
      this.#onLifecycle?.("create", identity);
      return identity;
    });
  }

  /** @throws IotError `device.not_found`, `module.not_found`, `etag.mismatch`, `identity.*` */
  async update(write: IdentityWrite, ifMatch: string): Promise<Identity> {
    checkWrite(write);
    const authentication = completeAuthentication(write.authentication, this.#randomBytes);
    return this.#writes.run(write.deviceId, () =>
      attempts(async () => {
        const { document, record: before, device } = await this.#match(write, ifMatch);
        const after: IdentityRecord = {
          ...before,
          ...this.#writable(write),
          statusUpdatedAtMs:
            before.status === write.status ? before.statusUpdatedAtMs : this.#clock.wallMs(),
          counter: before.counter + 1,
          authentication,
        };
        const revoked = await this.#revokedBy(before, after);
        const { key, revision } = document;
        const put = await putDecided(this.#documents, "identities", key, after, revision);
        if (!put.ok) return undefined;
        for (const { record, reason, kept } of revoked) this.#revoke(record, reason, kept);
        return identityOf(after, write.moduleId === undefined ? after : device);
      }),
    );
  }

  /** @throws IotError `etag.missing`, `etag.mismatch`, `device.not_found`, `module.not_found` */
  async delete(ref: IdentityRef, ifMatch: string | undefined): Promise<void> {
    if (ifMatch === undefined) throw new IotError("etag.missing", "Etag missing");
    await this.#writes.run(ref.deviceId, () =>
      attempts(async () => {
        const { document, record, device } = await this.#match(ref, ifMatch);
        const modules = ref.moduleId === undefined ? await this.#modulesOfLife(record) : [];
        const { key, revision } = document;
        const deleted = await deleteDecided(this.#documents, "identities", key, revision);
        if (!deleted.ok) return undefined;
        this.#onLifecycle?.("delete", identityOf(record, device));
        this.#revoke(record, "the identity was deleted");
        for (const module of modules) this.#revoke(module, "the device was deleted");
        await this.#removeLeftovers(record, modules);
        return true;
      }),
    );
  }

  async listDevices(top: number): Promise<Identity[]> {
    const devices: Identity[] = [];
    for await (const { record } of this.#devices()) {
      if (devices.length >= top) break;
      devices.push(identityOf(record, record));
    }
    return devices;
  }

  /** @throws IotError `device.not_found` */
  async listModules(deviceId: string): Promise<Identity[]> {
    const device = await this.#hostOf({ deviceId, moduleId: undefined });
    const modules = await this.#modulesOfLife(device);
    return modules.map((record) => identityOf(record, device));
  }

  /** Counted anew each time, over the whole registry; who asks at the same time shares the work. */
  readonly statistics = shareRuns(() => this.#count());

  async #count(): Promise<{ total: number; enabled: number; disabled: number }> {
    const counts = { total: 0, enabled: 0, disabled: 0 };
    for await (const { record } of this.#devices()) {
      counts.total++;
      counts[record.status]++;
    }
    return counts;
  }

  onRevoked(listener: RevocationListener): () => void {
    this.#revoked.add(listener);
    return () => this.#revoked.delete(listener);
  }

  /** Removes what dead lives left behind: modules, twins, sessions, C2D queues. Safe at any time, also while in use. */
  async sweep(): Promise<{ removed: number }> {
    return sweepLeftovers(this.#documents, this.#c2d);
  }

  async #find(ref: IdentityRef): Promise<Found | undefined> {
    // The key of a module is its device's id, a slash and its own: an id with a slash must not be read as one.
    if (!mayExist(ref)) return undefined;
    const asDevice = this.#documents.get("identities", ref.deviceId);
    if (ref.moduleId === undefined) {
      const document = await asDevice;
      const record = document && recordOf(document.value);
      return record && { document, record, device: record };
    }
    const [host, document] = await Promise.all([
      asDevice,
      this.#documents.get("identities", identityKey(ref)),
    ]);
    if (host === undefined || document === undefined) return undefined;
    const device = recordOf(host.value);
    const record = recordOf(document.value);
    return belongs(record, device) ? { document, record, device } : undefined;
  }

  async #match(ref: IdentityRef, ifMatch: string): Promise<Found> {
    const found = await this.#find(ref);
    if (found === undefined) {
      if (ref.moduleId !== undefined) await this.#hostOf(ref);
      throw notFound(ref);
    }
    if (ifMatch !== "*" && ifMatch !== etagOf(found.record.counter)) {
      throw new IotError("etag.mismatch", `The etag of "${identityKey(ref)}" is another one`);
    }
    return found;
  }

  async #hostOf(ref: IdentityRef): Promise<IdentityRecord> {
    const device = { deviceId: ref.deviceId, moduleId: undefined };
    const found = await this.#find(device);
    if (found === undefined) throw notFound(device);
    return found.record;
  }

  /** The dead module in whose place a new one goes; checks that there is room for it. */
  async #orphanAt(key: string, device: IdentityRecord): Promise<Document | undefined> {
    const existing = await this.#documents.get("identities", key);
    if (existing !== undefined && belongs(recordOf(existing.value), device)) {
      throw alreadyExists(refOf(recordOf(existing.value)));
    }
    const modules = await this.#modulesOfLife(device);
    if (modules.length >= modulesPerDeviceMax) {
      throw new IotError(
        "device.too_many_modules",
        `Device "${device.deviceId}" already has ${modulesPerDeviceMax} modules`,
      );
    }
    return existing;
  }

  async #modulesOfLife(device: IdentityRecord): Promise<IdentityRecord[]> {
    const modules: IdentityRecord[] = [];
    for await (const { record } of this.#records(`${device.deviceId}/`)) {
      if (belongs(record, device)) modules.push(record);
    }
    return modules;
  }

  async *#devices(): AsyncGenerator<{ record: IdentityRecord }> {
    for await (const entry of this.#records("")) {
      if (entry.record.moduleId === undefined) yield entry;
    }
  }

  async *#records(prefix: string): AsyncGenerator<{ record: IdentityRecord }> {
    let after: string | undefined;
    for (;;) {
      const page = await this.#documents.list("identities", {
        prefix,
        limit: pageSize,
        ...(after === undefined ? {} : { after }),
      });
      for (const document of page) yield { record: recordOf(document.value) };
      after = page.at(-1)?.key;
      if (page.length < pageSize) return;
    }
  }

  #writable(write: IdentityWrite) {
    return {
      deviceId: write.deviceId,
      moduleId: write.moduleId,
      status: write.status,
      statusReason: write.statusReason,
      iotEdge: write.capabilities.iotEdge,
      managedBy: write.managedBy,
    };
  }

  /**
   * Whose connection must end when `after` is committed. Read before the commit, so that a store that fails leaves nothing
   * half done; no module can appear meanwhile, since writes to one device wait for each other.
   */
  async #revokedBy(before: IdentityRecord, after: IdentityRecord) {
    const isDisabled = after.status === "disabled" && before.status === "enabled";
    if (after.moduleId === undefined && isDisabled) {
      const records = [after, ...(await this.#modulesOfLife(after))];
      const reason = "the device was disabled";
      return records.map((record) => ({ record, reason, kept: undefined }));
    }
    return losesCredential(before.authentication, after.authentication)
      ? [
          {
            record: after,
            reason: "its credentials were changed",
            kept: marksOf(after.authentication),
          },
        ]
      : [];
  }

  #revoke(record: IdentityRecord, reason: string, kept?: readonly CredentialMark[]): void {
    for (const listener of this.#revoked) {
      listener(refOf(record), "connection.identity_revoked", reason, kept);
    }
  }

  /** Best effort: the identity is gone whatever happens here, and `sweep` finds what stays. */
  async #removeLeftovers(
    record: IdentityRecord,
    modules: readonly IdentityRecord[],
  ): Promise<void> {
    const keys = [record, ...modules].map((dead) => generationKey(refOf(dead), dead.generationId));
    const removals: Promise<unknown>[] = keys.flatMap((key) => [
      this.#documents.delete("twins", key, "any"),
      this.#documents.delete("sessions", key, "any"),
    ]);
    if (this.#c2d !== undefined) for (const key of keys) removals.push(this.#c2d.purge(key));
    await Promise.allSettled(removals);
  }
}

const mayExist = ({ deviceId, moduleId }: IdentityRef): boolean =>
  isDeviceId(deviceId) && (moduleId === undefined || isDeviceId(moduleId));

const refOf = ({ deviceId, moduleId }: IdentityRecord): IdentityRef => ({ deviceId, moduleId });

const belongs = (module: IdentityRecord, device: IdentityRecord): boolean =>
  module.deviceGenerationId === device.generationId;

const notFound = (ref: IdentityRef): IotError =>
  ref.moduleId === undefined
    ? new IotError("device.not_found", `Device "${ref.deviceId}" is not registered`)
    : new IotError("module.not_found", `Device "${ref.deviceId}" has no module "${ref.moduleId}"`);

const alreadyExists = (ref: IdentityRef): IotError =>
  ref.moduleId === undefined
    ? new IotError("device.already_exists", `Device "${ref.deviceId}" is already registered`)
    : new IotError(
        "module.already_exists",
        `Device "${ref.deviceId}" already has a module "${ref.moduleId}"`,
      );

function checkWrite(write: IdentityWrite): void {
  if (!isDeviceId(write.deviceId)) {
    throw new IotError("identity.bad_id", "The device id has a forbidden character or length");
  }
  if (write.moduleId !== undefined && !isModuleId(write.moduleId)) {
    throw new IotError(
      "identity.bad_id",
      "The module id has a forbidden character or length, or begins with $",
    );
  }
  if ((write.statusReason?.length ?? 0) > statusReasonCharactersMax) {
    throw new IotError(
      "argument.invalid",
      `statusReason is longer than ${statusReasonCharactersMax} characters`,
    );
  }
}

/** Repeats a read-and-write that another writer got in between of (undefined). */
async function attempts<T>(once: () => Promise<T | undefined>): Promise<T> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const done = await once();
    if (done !== undefined) return done;
  }
  throw new IotError("hub.busy", "Other writers keep changing this identity");
}
