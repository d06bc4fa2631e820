import type { ErrorCode } from "@hubwire/protocol";
import { decodeUtf8 } from "@hubwire/protocol";
import { seededRandom } from "@hubwire/testkit";
import { VirtualClock } from "@hubwire/transport";
import { createC2d } from "../../src/domain/c2d/index.ts";
import { createIdentities } from "../../src/domain/identities/index.ts";
import { createMethods } from "../../src/domain/methods/index.ts";
import { createHubMetrics, silentLogger } from "../../src/domain/observe.ts";
import type {
  Connections,
  IdentityRef,
  IdentityWrite,
  LiveConnection,
  Presence,
  SubscriptionKind,
} from "../../src/domain/services.ts";
import { identityKey } from "../../src/domain/services.ts";
import { createTwins } from "../../src/domain/twins/index.ts";
import { createMemoryStores } from "../../src/stores/memory/index.ts";
import type { Fault, StoreOperation } from "../../src/stores/memory/index.ts";

export const device = (deviceId: string): IdentityRef => ({ deviceId, moduleId: undefined });
export const module = (deviceId: string, moduleId: string): IdentityRef => ({ deviceId, moduleId });

/** What a PUT without anything special asks for. */
export const writeOf = (ref: IdentityRef, more: Partial<IdentityWrite> = {}): IdentityWrite => ({
  ...ref,
  status: "enabled",
  statusReason: undefined,
  authentication: undefined,
  capabilities: { iotEdge: false },
  managedBy: undefined,
  ...more,
});

/** What a connection was given to send, in order. */
export type Sent =
  | { type: "method"; rid: string; name: string; payload: string }
  | { type: "twin"; rid: string; status: number; version: number | undefined; body: unknown }
  | { type: "desired"; version: number; body: unknown };

const json = (bytes: Uint8Array): unknown =>
  bytes.length === 0 ? undefined : (JSON.parse(decodeUtf8(bytes)) as unknown);

/** A device's connection without a wire. */
export class FakeConnection implements LiveConnection {
  readonly ref: IdentityRef;
  readonly generationId: string;
  readonly connectionId: number;
  readonly kinds: Set<SubscriptionKind>;
  readonly sent: Sent[] = [];
  readonly #owner: FakeConnections;

  constructor(
    owner: FakeConnections,
    ref: IdentityRef,
    generationId: string,
    connectionId: number,
    kinds: readonly SubscriptionKind[],
  ) {
    this.#owner = owner;
    this.ref = ref;
    this.generationId = generationId;
    this.connectionId = connectionId;
    this.kinds = new Set(kinds);
  }

  isSubscribed(kind: SubscriptionKind): boolean {
    return this.kinds.has(kind);
  }
  sendMethod(rid: string, name: string, payload: Uint8Array): void {
    this.sent.push({ type: "method", rid, name, payload: decodeUtf8(payload) });
  }
  sendTwinResponse(
    rid: string,
    status: number,
    version: number | undefined,
    body: Uint8Array,
  ): void {
    this.sent.push({ type: "twin", rid, status, version, body: json(body) });
  }
  sendDesired(version: number, body: Uint8Array): void {
    this.sent.push({ type: "desired", version, body: json(body) });
  }
  close(): void {
    this.#owner.drop(this);
  }
}

export class FakeConnections implements Connections {
  readonly #live = new Map<string, FakeConnection>();
  readonly #subscribed = new Set<(connection: LiveConnection, kind: SubscriptionKind) => void>();
  readonly #closed = new Set<(connection: LiveConnection) => void>();
  #ids = 0;
  lastActivityAtMs: number | undefined;

  /** Connects with these subscriptions in force. */
  connect(ref: IdentityRef, generationId: string, kinds: readonly SubscriptionKind[] = []) {
    this.find(ref)?.close();
    const connection = new FakeConnection(this, ref, generationId, ++this.#ids, []);
    this.#live.set(identityKey(ref), connection);
    for (const kind of kinds) this.subscribe(connection, kind);
    return connection;
  }
  subscribe(connection: FakeConnection, kind: SubscriptionKind): void {
    connection.kinds.add(kind);
    for (const listener of this.#subscribed) listener(connection, kind);
  }
  drop(connection: FakeConnection): void {
    if (!this.#live.delete(identityKey(connection.ref))) return;
    for (const listener of this.#closed) listener(connection);
  }
  get count(): number {
    return this.#live.size;
  }
  find(ref: IdentityRef): FakeConnection | undefined {
    return this.#live.get(identityKey(ref));
  }
  presence(ref: IdentityRef): Presence {
    const connected = this.find(ref) !== undefined;
    const atMs = this.lastActivityAtMs;
    return { connected, connectionStateUpdatedAtMs: atMs, lastActivityAtMs: atMs };
  }
  onSubscribed(listener: (connection: LiveConnection, kind: SubscriptionKind) => void) {
    this.#subscribed.add(listener);
    return () => this.#subscribed.delete(listener);
  }
  onClosed(listener: (connection: LiveConnection) => void) {
    this.#closed.add(listener);
    return () => this.#closed.delete(listener);
  }
  closeIdentity(ref: IdentityRef): void {
    const connection = this.find(ref);
    if (connection !== undefined) this.drop(connection);
  }
  closeAll(): void {
    for (const connection of this.#live.values()) this.drop(connection);
  }
}

/** The domain over memory stores, virtual time and connections without a wire. `fail` is asked for every store operation. */
export function createWorld(seed = 1) {
  const clock = new VirtualClock();
  const random = seededRandom(seed);
  const faults: { next?: ((operation: StoreOperation) => Fault) | undefined } = {};
  const stores = createMemoryStores({
    clock,
    fault: (operation) => faults.next?.(operation),
  });
  const identities = createIdentities({
    documents: stores.documents,
    c2d: stores.c2d,
    clock,
    randomBytes: (count) => random.bytes(count),
  });
  const revoked: { key: string; code: ErrorCode; reason: string }[] = [];
  const connections = new FakeConnections();
  identities.onRevoked((ref, code, reason) => {
    revoked.push({ key: identityKey(ref), code, reason });
    connections.closeIdentity(ref);
  });
  let ids = 0;
  const c2d = createC2d({
    store: stores.c2d,
    identities,
    clock,
    metrics: createHubMetrics(),
    logger: silentLogger,
    newMessageId: () => `m${++ids}`,
  });
  const twins = createTwins({
    documents: stores.documents,
    identities,
    connections,
    clock,
    trackingId: () => `t${++ids}`,
    logger: silentLogger,
    c2d: c2d.service,
  });
  const methods = createMethods({ identities, connections, clock });
  return { clock, random, faults, stores, identities, revoked, connections, c2d, twins, methods };
}

export type World = ReturnType<typeof createWorld>;

/** Fails the next operation of this name once: before it took effect, or after. */
export function failOnce(world: World, name: string, fault: Fault): void {
  world.faults.next = (operation) => {
    if (operation.name !== name) return undefined;
    world.faults.next = undefined;
    return fault;
  };
}

/** The code an operation was refused with, or undefined when it went through. */
export async function refusal(operation: Promise<unknown>): Promise<string | undefined> {
  try {
    await operation;
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}
