import {
  applyReportedPatch,
  applyTwinPatch,
  emptyObject,
  freshTwin,
  IotError,
  isJsonObject,
  parseJson,
  replaceTwin,
  twinEtag,
  twinForDevice,
  twinForService,
  twinTimestamp,
} from "@hubwire/protocol";
import type { TwinDocument, TwinWrite } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type { Logger } from "../observe.ts";
import { putDecided } from "../identities/decided.ts";
import { Serial } from "../identities/serial.ts";
import type { DocumentStore } from "../ports.ts";
import { generationKey, identityKey } from "../services.ts";
import type {
  Connections,
  DeviceTwins,
  Identities,
  Identity,
  IdentityRef,
  LiveConnection,
  ServiceC2d,
  ServiceTwins,
} from "../services.ts";
import { type DeviceAnswer, emptyBody, errorAnswer, jsonBytes } from "./device-answer.ts";
import { factsOf, noTime } from "./facts.ts";

/** Operations that may wait for one twin; a device that sends more without waiting is answered 429. */
export const twinOperationsWaitingMax = 128;
/** Another hub on the same store wins at most this often before an operation gives up. */
const attemptsMax = 32;

export type TwinsOptions = {
  documents: DocumentStore;
  identities: Pick<Identities, "find">;
  connections: Pick<Connections, "find" | "presence">;
  clock: Clock;
  /** Makes the id that an error answer and the log share. */
  trackingId: () => string;
  logger: Pick<Logger, "error">;
  /** For `cloudToDeviceMessageCount`; without it the count is 0. */
  c2d?: Pick<ServiceC2d, "count">;
  /** A twin was changed by a service or its device, and the change is committed. */
  onChanged?: OnTwinChanged | undefined;
};

export type OnTwinChanged = (
  ref: IdentityRef,
  generationId: string,
  opType: "updateTwin" | "replaceTwin",
  before: TwinDocument,
  after: TwinDocument,
) => void;

/** A twin at rest. No document for a living identity means the fresh twin. */
type StoredTwin = { twin: TwinDocument; modelId?: string | undefined };
type Read = StoredTwin & { revision: number | "absent" };
type ServiceView = { twin: Record<string, unknown>; etag: string };
type ServiceWrite = (twin: TwinDocument, body: unknown, nowIso: string) => TwinWrite;

/**
 * Device twins. Per twin one operation runs at a time and sends what it has to send before the next one starts, so answers
 * to the device, desired notifications and versions all follow the order of the commits. Nothing is cached: every operation
 * reads the twin and writes it with compare-and-set, so a version never goes back, whatever the store does in between.
 */
export class StoredTwins implements DeviceTwins, ServiceTwins {
  readonly #documents: DocumentStore;
  readonly #identities: TwinsOptions["identities"];
  readonly #connections: TwinsOptions["connections"];
  readonly #clock: Clock;
  readonly #trackingId: () => string;
  readonly #logger: Pick<Logger, "error">;
  readonly #c2d: TwinsOptions["c2d"];
  readonly #onChanged: TwinsOptions["onChanged"];
  readonly #serial = new Serial(twinOperationsWaitingMax);

  constructor(options: TwinsOptions) {
    this.#documents = options.documents;
    this.#identities = options.identities;
    this.#connections = options.connections;
    this.#clock = options.clock;
    this.#trackingId = options.trackingId;
    this.#logger = options.logger;
    this.#c2d = options.c2d;
    this.#onChanged = options.onChanged;
  }

  /** Twins with an operation running or waiting. */
  get busy(): number {
    return this.#serial.busyKeys;
  }

  get(connection: LiveConnection, rid: string): void {
    // Nobody would hear the answer.
    if (!connection.isSubscribed("twinResponses")) return;
    void this.#serve(connection, rid, async (key) => {
      const { twin } = await this.#read(key);
      return { status: 200, version: undefined, body: jsonBytes(twinForDevice(twin)) };
    });
  }

  report(
    connection: LiveConnection,
    rid: string,
    baseVersion: number | undefined,
    body: Uint8Array,
  ): void {
    void this.#serve(connection, rid, async (key) => {
      const patch = parseJson(body);
      let before: TwinDocument | undefined;
      const { twin } = await this.#write(key, (stored) => {
        before = stored.twin;
        const reported = applyReportedPatch(stored.twin, patch, this.#nowIso(), baseVersion);
        return { ...stored, twin: reported };
      });
      const { ref, generationId } = connection;
      if (before !== undefined) this.#onChanged?.(ref, generationId, "updateTwin", before, twin);
      return { status: 204, version: twin.reported.version, body: emptyBody };
    });
  }

  /** Remembers the model id a device announced at CONNECT; shown as `modelId` from then on. */
  async announceModel(ref: IdentityRef, generationId: string, modelId: string): Promise<void> {
    const key = generationKey(ref, generationId);
    await this.#serial.run(key, async () => {
      if ((await this.#read(key)).modelId === modelId) return;
      await this.#write(key, (stored) => ({ ...stored, modelId }));
    });
  }

  /** @throws IotError `device.not_found` */
  async read(ref: IdentityRef): Promise<ServiceView> {
    const identity = await this.#existing(ref);
    const [waiting, stored] = await Promise.all([
      this.#waitingC2d(identity),
      this.#read(generationKey(ref, identity.generationId)),
    ]);
    return this.#view(identity, waiting, stored);
  }

  /** @throws IotError `device.not_found`, `etag.mismatch`, `twin.*` */
  patch(ref: IdentityRef, body: unknown, ifMatch: string | undefined): Promise<ServiceView> {
    return this.#writeForService(ref, body, ifMatch, patchTwin);
  }

  /** @throws as `patch` */
  replace(ref: IdentityRef, body: unknown, ifMatch: string | undefined): Promise<ServiceView> {
    return this.#writeForService(ref, body, ifMatch, replaceTwin);
  }

  async #writeForService(
    ref: IdentityRef,
    body: unknown,
    ifMatch: string | undefined,
    apply: ServiceWrite,
  ): Promise<ServiceView> {
    const identity = await this.#existing(ref);
    // Counted while the twin is read, and known before the write: once that is committed, nothing may fail any more.
    const waiting = this.#waitingC2d(identity);
    waiting.catch(() => {});
    const key = generationKey(ref, identity.generationId);
    const stored = await this.#serial.run(key, async () => {
      let notification: TwinWrite["desiredNotification"];
      let earlier: TwinDocument | undefined;
      const change = (before: StoredTwin): StoredTwin => {
        earlier = before.twin;
        checkEtag(before.twin, ifMatch);
        const result = apply(before.twin, body, this.#nowIso());
        notification = result.desiredNotification;
        return { ...before, twin: result.twin };
      };
      const written = await this.#write(key, change, waiting);
      if (earlier !== undefined) {
        const opType = apply === replaceTwin ? "replaceTwin" : "updateTwin";
        this.#onChanged?.(ref, identity.generationId, opType, earlier, written.twin);
      }
      if (notification !== undefined) {
        this.#notify(ref, identity.generationId, written.twin.desired.version, notification);
      }
      return written;
    });
    return this.#view(identity, await waiting, stored);
  }

  #notify(ref: IdentityRef, generationId: string, version: number, notification: object): void {
    const connection = this.#connections.find(ref);
    if (connection?.generationId !== generationId) return;
    if (connection.isSubscribed("desired"))
      connection.sendDesired(version, jsonBytes(notification));
  }

  /** Runs one device request in its turn and answers it, if the device asked to be answered. */
  async #serve(
    connection: LiveConnection,
    rid: string,
    work: (key: string) => Promise<DeviceAnswer>,
  ): Promise<void> {
    const key = generationKey(connection.ref, connection.generationId);
    const answer = (answered: DeviceAnswer): void => {
      if (!connection.isSubscribed("twinResponses")) return;
      connection.sendTwinResponse(rid, answered.status, answered.version, answered.body);
    };
    const refuse = (error: unknown): void => {
      const trackingId = this.#trackingId();
      if (!(error instanceof IotError)) {
        this.#logger.error({ err: error, trackingId, twin: key }, "a twin operation failed");
      }
      answer(errorAnswer(error, this.#clock.wallMs(), trackingId));
    };
    await this.#serial
      .run(key, () => work(key).then(answer, refuse))
      // Only too many waiting operations end here: all else was answered in its turn.
      .catch(refuse);
  }

  async #existing(ref: IdentityRef): Promise<Identity> {
    const identity = await this.#identities.find(ref);
    if (identity !== undefined) return identity;
    // Live hubs answer 404001 for the twin of a missing module too.
    throw new IotError("device.not_found", `"${identityKey(ref)}" is not registered`);
  }

  async #read(key: string): Promise<Read> {
    const document = await this.#documents.get("twins", key);
    if (document === undefined) return { twin: freshTwin(noTime), revision: "absent" };
    return { ...(document.value as StoredTwin), revision: document.revision };
  }

  /** Nothing is written before `ready`, and nothing at all when that fails. */
  async #write(
    key: string,
    change: (stored: StoredTwin) => StoredTwin,
    ready?: Promise<unknown>,
  ): Promise<StoredTwin> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const [{ revision, ...before }] = await Promise.all([this.#read(key), ready]);
      const after = change(before);
      const put = await putDecided(this.#documents, "twins", key, after, revision);
      if (put.ok) return after;
    }
    throw new IotError("hub.busy", "Other writers keep changing this twin");
  }

  async #waitingC2d({ deviceId, moduleId, generationId }: Identity): Promise<number> {
    if (moduleId !== undefined || this.#c2d === undefined) return 0;
    return this.#c2d.count(deviceId, generationId);
  }

  #view(identity: Identity, waitingC2d: number, { twin, modelId }: StoredTwin): ServiceView {
    const facts = factsOf(identity, this.#connections.presence(identity), waitingC2d, modelId);
    return { twin: twinForService(twin, facts), etag: twinEtag(twin) };
  }

  #nowIso(): string {
    return twinTimestamp(this.#clock.wallMs());
  }
}

function checkEtag(twin: TwinDocument, ifMatch: string | undefined): void {
  if (ifMatch === undefined || ifMatch === "*" || ifMatch === twinEtag(twin)) return;
  throw new IotError("etag.mismatch", "The twin's etag is another one");
}

/**
 * `desired: null` empties the section, and the device is told so key by key: it knows only merge patches
 * (observed in the end-to-end tests of the Node SDK).
 */
const patchTwin: ServiceWrite = (twin, body, nowIso) => {
  const properties = isJsonObject(body) ? body["properties"] : undefined;
  if (!isJsonObject(body) || !isJsonObject(properties) || properties["desired"] !== null) {
    return applyTwinPatch(twin, body, nowIso);
  }
  const desired = emptyObject();
  for (const key of Object.keys(twin.desired.properties)) desired[key] = null;
  return applyTwinPatch(twin, { ...body, properties: { desired } }, nowIso);
};
