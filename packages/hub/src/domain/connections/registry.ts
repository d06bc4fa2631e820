import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type { DocumentStore } from "../ports.ts";
import { generationKey, identityKey } from "../services.ts";
import type {
  Connections,
  Identities,
  IdentityRef,
  LiveConnection,
  Presence,
  Subscription,
  SubscriptionKind,
} from "../services.ts";
import type { DeviceLink } from "./device-link.ts";
import { mayStay, Revocations } from "./revocations.ts";
import { SerialByKey } from "./serial.ts";
import { PersistentSessions } from "./sessions.ts";

export type ConnectionRegistryOptions = {
  documents: DocumentStore;
  identities: Pick<Identities, "onRevoked">;
  clock: Pick<Clock, "wallMs">;
};

/** What a CONNECT finds of its client's earlier life. */
export type SessionOpening = { sessionPresent: boolean; subscriptions: readonly Subscription[] };

/** `opening`: it owns the identity and has not been answered yet. */
type Entry = { link: DeviceLink; isLive: boolean; connectedAtMs: number };

const noPresence: Presence = {
  connected: false,
  connectionStateUpdatedAtMs: undefined,
  lastActivityAtMs: undefined,
};

/**
 * One connection per identity. A newer CONNECT takes over the moment it is admitted: the older connection is closed, with
 * what it had not handed over dropped, before the newer one learns anything of the session. All session documents of an
 * identity are read and written one after the other, so what the older connection still had under way is settled first.
 */
export class ConnectionRegistry implements Connections {
  readonly #clock: Pick<Clock, "wallMs">;
  readonly #sessions: PersistentSessions;
  readonly #serial = new SerialByKey();
  readonly #entries = new Map<string, Entry>();
  /** Modules that are connected, by device: they go when their device goes. */
  readonly #modules = new Map<string, Set<string>>();
  readonly #left = new Map<string, Presence>();
  readonly #revocations = new Revocations();
  readonly #subscribed = new Set<(link: LiveConnection, kind: SubscriptionKind) => void>();
  readonly #closed = new Set<(link: LiveConnection) => void>();
  readonly #unsubscribe: () => void;
  #live = 0;

  constructor(options: ConnectionRegistryOptions) {
    this.#clock = options.clock;
    this.#sessions = new PersistentSessions(options.documents);
    this.#unsubscribe = options.identities.onRevoked((ref, code, reason, kept) => {
      this.#revocations.add(ref, { code, reason, kept });
      if (kept === undefined) return this.closeIdentity(ref, code, reason);
      const link = this.#entries.get(identityKey(ref))?.link;
      if (link !== undefined && !mayStay(link, kept)) link.close(code, reason);
    });
  }

  find(ref: IdentityRef): LiveConnection | undefined {
    const entry = this.#entries.get(identityKey(ref));
    return entry?.isLive === true ? entry.link : undefined;
  }

  get count(): number {
    return this.#live;
  }

  presence(ref: IdentityRef): Presence {
    const key = identityKey(ref);
    const entry = this.#entries.get(key);
    if (entry?.isLive !== true) return this.#left.get(key) ?? noPresence;
    return {
      connected: true,
      connectionStateUpdatedAtMs: entry.connectedAtMs,
      lastActivityAtMs: entry.link.lastActivityAtMs,
    };
  }

  /** Identity keys of the connected. */
  *connectedKeys(): Generator<string> {
    for (const [key, { isLive }] of this.#entries) if (isLive) yield key;
  }

  /** Those, and whoever was connected since the hub started; some may come twice. */
  *seenKeys(): Generator<string> {
    yield* this.connectedKeys();
    yield* this.#left.keys();
  }

  onSubscribed(listener: (link: LiveConnection, kind: SubscriptionKind) => void): () => void {
    this.#subscribed.add(listener);
    return () => this.#subscribed.delete(listener);
  }

  onClosed(listener: (link: LiveConnection) => void): () => void {
    this.#closed.add(listener);
    return () => this.#closed.delete(listener);
  }

  /** A device takes its modules with it. */
  closeIdentity(ref: IdentityRef, code: ErrorCode, reason: string): void {
    this.#entries.get(identityKey(ref))?.link.close(code, reason);
    if (ref.moduleId !== undefined) return;
    for (const key of this.#modules.get(ref.deviceId) ?? []) {
      this.#entries.get(key)?.link.close(code, reason);
    }
  }

  closeAll(code: ErrorCode, reason: string): void {
    for (const { link } of this.#entries.values()) link.close(code, reason);
  }

  /**
   * Call before authenticating; give the result to `open`. What is revoked in between is noticed: the identity that
   * authentication read may have been changed since.
   */
  beginAttempt(): symbol {
    return this.#revocations.begin();
  }

  endAttempt(attempt: symbol): void {
    this.#revocations.end(attempt);
  }

  /**
   * Makes `link` the identity's connection and finds its session. With clean=1 a stored session is deleted.
   * @throws IotError `connection.identity_revoked` and the like when the identity, or the credential that let it in, was revoked
   * during authentication,
   * `connection.replaced` when a still newer CONNECT came, `store.unavailable`
   */
  async open(
    link: DeviceLink,
    options: { cleanSession: boolean; attempt: symbol },
  ): Promise<SessionOpening> {
    this.#revocations.check(options.attempt, link);
    const key = identityKey(link.ref);
    const older = this.#entries.get(key);
    this.#entries.set(key, { link, isLive: false, connectedAtMs: this.#clock.wallMs() });
    this.#noteModule(link.ref, key);
    older?.link.close("connection.replaced", `${key} connected again`);
    const sessionKey = generationKey(link.ref, link.generationId);
    const stored = await this.#serial.run(key, async () => {
      const found = await this.#sessions.load(sessionKey);
      if (!options.cleanSession || found === undefined) return found;
      await this.#sessions.delete(sessionKey);
      return undefined;
    });
    if (this.#entries.get(key)?.link !== link) {
      throw new IotError("connection.replaced", `${key} connected again`);
    }
    return { sessionPresent: stored !== undefined, subscriptions: stored ?? [] };
  }

  /**
   * Keeps a clean=0 session's subscriptions. Durable when it resolves. A session that never subscribed has nothing to keep:
   * it is stored at its first SUBSCRIBE.
   */
  async save(link: DeviceLink, subscriptions: readonly Subscription[]): Promise<void> {
    const sessionKey = generationKey(link.ref, link.generationId);
    await this.#serial.run(identityKey(link.ref), () =>
      this.#sessions.save(sessionKey, subscriptions),
    );
  }

  /** The CONNECT has been answered. */
  accepted(link: DeviceLink): void {
    const entry = this.#entries.get(identityKey(link.ref));
    if (entry?.link !== link || entry.isLive) return;
    entry.isLive = true;
    entry.connectedAtMs = this.#clock.wallMs();
    this.#live++;
  }

  /** A subscription of this kind is in force on the connection. */
  subscribed(link: DeviceLink, kind: SubscriptionKind): void {
    for (const listener of this.#subscribed) listener(link, kind);
  }

  /** The connection is over and everything it had handed over is dealt with. Call once. */
  closed(link: DeviceLink, wasAccepted: boolean): void {
    const key = identityKey(link.ref);
    const entry = this.#entries.get(key);
    if (entry?.link === link) {
      this.#entries.delete(key);
      this.#forgetModule(link.ref, key);
    }
    if (!wasAccepted) return;
    // Shown only while no newer connection is live.
    this.#left.set(key, {
      connected: false,
      connectionStateUpdatedAtMs: this.#clock.wallMs(),
      lastActivityAtMs: link.lastActivityAtMs,
    });
    this.#live--;
    for (const listener of this.#closed) listener(link);
  }

  dispose(): void {
    this.#unsubscribe();
  }

  #noteModule(ref: IdentityRef, key: string): void {
    if (ref.moduleId === undefined) return;
    const keys = this.#modules.get(ref.deviceId);
    if (keys === undefined) this.#modules.set(ref.deviceId, new Set([key]));
    else keys.add(key);
  }

  #forgetModule(ref: IdentityRef, key: string): void {
    const keys = this.#modules.get(ref.deviceId);
    keys?.delete(key);
    if (ref.moduleId !== undefined && keys?.size === 0) this.#modules.delete(ref.deviceId);
  }
}
