import { freshTwin, matches, twinForService } from "@hubwire/protocol";
import type {
  JsonObject,
  QueryExpression,
  TwinDocument,
  TwinIdentityFacts,
} from "@hubwire/protocol";
import { identityOf, recordOf } from "../identities/record.ts";
import type { IdentityRecord } from "../identities/record.ts";
import type { Document } from "../ports.ts";
import { generationKey, identityKey } from "../services.ts";
import type { Identity } from "../services.ts";
import { factsOf, noTime } from "../twins/facts.ts";
import type { Needs } from "./needs.ts";
import type { QueryOptions } from "./parts.ts";

type StoredTwin = { twin: TwinDocument; modelId?: string | undefined };

/** A document on its way from a key to a row. */
export type Candidate = {
  /** Key in the collection whose order the query follows. */
  position: string;
  identity: Identity;
  /** Undefined: not read yet, or never written to. */
  twin: StoredTwin | undefined;
};

/** A key found somewhere, with what came along. */
export type Hit = {
  position: string;
  identityKey: string;
  /** The life it must be of, where the key named one. */
  generationId: string | undefined;
  identity: Document | undefined;
  twin: Document | undefined;
};

/** Reads what hits stand for, a few calls for all of them. */
export class Loader {
  readonly #options: QueryOptions;
  readonly #ofModules: boolean;

  constructor(options: QueryOptions, ofModules: boolean) {
    this.#options = options;
    this.#ofModules = ofModules;
  }

  /** Of hits in the twins' order, those that pass a WHERE that looks at nothing but the twin; their identities are not read. */
  async passing(hits: readonly Hit[], where: QueryExpression | undefined): Promise<Hit[]> {
    const missing = hits.filter(({ twin }) => twin === undefined);
    const keys = missing.map(({ position }) => position);
    const read = (await this.#options.documents.getMany("twins", keys)).values();
    return hits.flatMap((hit) => {
      const twin = hit.twin ?? (read.next().value as Document | undefined);
      if (twin === undefined) return [];
      const stored = twin.value as StoredTwin;
      const view = twinForService(stored.twin, { ...nobody, modelId: stored.modelId });
      return matches(where, view) ? [{ ...hit, twin }] : [];
    });
  }

  /** The living ones among the hits that are of the collection, in the same order. */
  async candidates(hits: readonly Hit[]): Promise<Candidate[]> {
    const wanted = hits.filter((hit) => hit.identityKey.includes("/") === this.#ofModules);
    const records = await this.#records(wanted);
    const hosts = this.#ofModules ? await this.#hosts(records) : undefined;
    return wanted.flatMap((hit, index) => {
      const record = records[index];
      if (record === undefined) return [];
      const device = hosts === undefined ? record : hosts.get(record.deviceId);
      const isAlive =
        device !== undefined &&
        (hit.generationId === undefined || hit.generationId === record.generationId) &&
        (record.moduleId === undefined || record.deviceGenerationId === device.generationId);
      if (!isAlive) return [];
      const identity = identityOf(record, device);
      const twin = hit.twin?.value as StoredTwin | undefined;
      return [{ position: hit.position, identity, twin }];
    });
  }

  /** The JSON of each, as far as `needs` says. */
  async views(candidates: readonly Candidate[], needs: Needs): Promise<JsonObject[]> {
    const keys = candidates.map(({ identity }) => generationKey(identity, identity.generationId));
    const [twins, counts] = await Promise.all([
      needs.twin ? this.#twins(candidates, keys) : [],
      needs.c2dCount && !this.#ofModules
        ? Promise.all(keys.map((key) => this.#options.c2d.count(key)))
        : [],
    ]);
    return candidates.map(({ identity }, index) => {
      const stored = twins[index];
      const presence = this.#options.connections.presence(identity);
      const facts = factsOf(identity, presence, counts[index] ?? 0, stored?.modelId);
      return twinForService(stored?.twin ?? fresh, facts);
    });
  }

  async #records(hits: readonly Hit[]): Promise<(IdentityRecord | undefined)[]> {
    const missing = hits.filter(({ identity }) => identity === undefined);
    const keys = missing.map((hit) => hit.identityKey);
    const read = (await this.#options.documents.getMany("identities", keys)).values();
    return hits.map(({ identity }) => {
      const document = identity ?? (read.next().value as Document | undefined);
      return document && recordOf(document.value);
    });
  }

  async #hosts(
    modules: readonly (IdentityRecord | undefined)[],
  ): Promise<Map<string, IdentityRecord>> {
    const ids = [...new Set(modules.flatMap((record) => (record ? [record.deviceId] : [])))];
    const read = await this.#options.documents.getMany("identities", ids);
    const hosts = read.flatMap((document) => (document ? [recordOf(document.value)] : []));
    return new Map(
      hosts.map((record) => [identityKey({ ...record, moduleId: undefined }), record]),
    );
  }

  async #twins(
    candidates: readonly Candidate[],
    keys: readonly string[],
  ): Promise<(StoredTwin | undefined)[]> {
    const missing = keys.filter((_, index) => candidates[index]?.twin === undefined);
    const read = (await this.#options.documents.getMany("twins", missing)).values();
    return candidates.map((candidate) => {
      const document = candidate.twin === undefined ? read.next().value : undefined;
      candidate.twin ??= document?.value as StoredTwin | undefined;
      return candidate.twin;
    });
  }
}

const fresh = freshTwin(noTime);
/** Stands where nobody looks. */
const nobody: TwinIdentityFacts = {
  deviceId: "",
  deviceEtag: "",
  status: "enabled",
  statusUpdateTime: noTime,
  connectionState: "Disconnected",
  lastActivityTime: noTime,
  cloudToDeviceMessageCount: 0,
  authenticationType: "none",
  x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
};
