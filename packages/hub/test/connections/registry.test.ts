import { createMemoryStores } from "../../src/stores/memory/index.ts";
import { systemClock } from "@hubwire/transport";
import type { ErrorCode } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { ConnectionRegistry } from "../../src/domain/connections/index.ts";
import type { DeviceLink } from "../../src/domain/connections/index.ts";
import type { DocumentStore } from "../../src/domain/ports.ts";
import type { IdentityRef, RevocationListener } from "../../src/domain/services.ts";

const dev1: IdentityRef = { deviceId: "dev1", moduleId: undefined };
type Revoked = (ref: IdentityRef, code: ErrorCode, reason: string, kept?: string[]) => void;
type Link = DeviceLink & { ends: string[] };

function setUp(documents: DocumentStore = createMemoryStores({ clock: systemClock() }).documents) {
  let revoke: RevocationListener = () => {};
  const identities = {
    onRevoked: (listener: RevocationListener) => {
      revoke = listener;
      return () => {};
    },
  };
  const registry = new ConnectionRegistry({ documents, identities, clock: systemClock() });
  let ids = 0;
  const link = (ref = dev1): Link => ({
    ref,
    generationId: "1",
    connectionId: ++ids,
    credentials: ["mine"],
    lastActivityAtMs: 0,
    ends: [],
    isSubscribed: () => false,
    sendMethod() {},
    sendTwinResponse() {},
    sendDesired() {},
    close(code) {
      this.ends.push(code);
    },
  });
  const open = async (one: Link, cleanSession = false) => {
    const attempt = registry.beginAttempt();
    try {
      return await registry.open(one, { cleanSession, attempt });
    } finally {
      registry.endAttempt(attempt);
    }
  };
  const revokeNow: Revoked = (ref, code, reason, kept) => revoke(ref, code, reason, kept);
  return { registry, link, open, revokeNow, documents };
}

/** Answers in the order it is told to, not in the order it was asked. */
function lateDocuments() {
  const { documents } = createMemoryStores({ clock: systemClock() });
  const held: (() => void)[] = [];
  let holding: "get" | "put" | undefined;
  const late = async <T>(name: "get" | "put", work: () => Promise<T>): Promise<T> => {
    if (holding === name) await new Promise<void>((resolve) => held.push(resolve));
    return work();
  };
  const store: DocumentStore = {
    get: (...asked) => late("get", () => documents.get(...asked)),
    put: (...asked) => late("put", () => documents.put(...asked)),
    delete: (...asked) => documents.delete(...asked),
    list: (...asked) => documents.list(...asked),
    getMany: (...asked) => documents.getMany(...asked),
    lookup: (...asked) => documents.lookup(...asked),
  };
  return {
    store,
    hold: (name: "get" | "put") => (holding = name),
    release: () => {
      holding = undefined;
      for (const go of held.splice(0)) go();
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const subscription = {
  filter: "$iothub/twin/res/#",
  kind: "twinResponses" as const,
  qos: 0 as const,
};

test("the older of two that open at once is told so", async () => {
  const { open, link } = setUp();
  const [older, newer] = [link(), link()];
  const opening = open(older);
  await Promise.all([
    expect(opening).rejects.toMatchObject({ code: "connection.replaced" }),
    open(newer),
  ]);
  expect(older.ends).toEqual(["connection.replaced"]);
  expect(newer.ends).toEqual([]);
});

test("a newer connection sees the session as the older one's last write left it, however late that write is", async () => {
  const { store, hold, release } = lateDocuments();
  const { open, link, registry } = setUp(store);
  const older = link();
  await open(older);
  hold("put");
  const saving = registry.save(older, [subscription]);
  await turn();
  const opening = open(link());
  await turn();
  release();
  await saving;
  expect(await opening).toEqual({ sessionPresent: true, subscriptions: [subscription] });
});

test("clean=1 deletes the session even if the older connection's write is late", async () => {
  const { store, hold, release } = lateDocuments();
  const { open, link, registry, documents } = setUp(store);
  const older = link();
  await open(older);
  hold("put");
  const saving = registry.save(older, [subscription]);
  await turn();
  const opening = open(link(), true);
  await turn();
  release();
  await saving;
  expect(await opening).toEqual({ sessionPresent: false, subscriptions: [] });
  expect(await documents.list("sessions", { limit: 9 })).toEqual([]);
});

test("a device that is revoked takes its modules with it, and nobody else", async () => {
  const { open, link, revokeNow } = setUp();
  const device = link();
  const module = link({ deviceId: "dev1", moduleId: "m" });
  const other = link({ deviceId: "dev2", moduleId: undefined });
  for (const one of [device, module, other]) await open(one);
  revokeNow(dev1, "connection.identity_revoked", "disabled");
  expect(device.ends).toEqual(["connection.identity_revoked"]);
  expect(module.ends).toEqual(["connection.identity_revoked"]);
  expect(other.ends).toEqual([]);
});

test("a revoked module leaves its device alone", async () => {
  const { open, link, revokeNow } = setUp();
  const device = link();
  const module = link({ deviceId: "dev1", moduleId: "m" });
  for (const one of [device, module]) await open(one);
  revokeNow(module.ref, "connection.identity_revoked", "deleted");
  expect(device.ends).toEqual([]);
  expect(module.ends).toEqual(["connection.identity_revoked"]);
});

test("a revocation before the attempt began does not count", async () => {
  const { open, link, revokeNow, registry } = setUp();
  const waiting = registry.beginAttempt();
  revokeNow(dev1, "connection.identity_revoked", "re-keyed");
  await open(link());
  await expect(
    registry.open(link(), { cleanSession: true, attempt: waiting }),
  ).rejects.toMatchObject({ code: "connection.identity_revoked" });
});

test("a device revoked during a module's attempt keeps the module out", async () => {
  const { link, revokeNow, registry } = setUp();
  const attempt = registry.beginAttempt();
  revokeNow(dev1, "connection.identity_revoked", "deleted");
  const module = link({ deviceId: "dev1", moduleId: "m" });
  await expect(registry.open(module, { cleanSession: true, attempt })).rejects.toMatchObject({
    code: "connection.identity_revoked",
  });
});

test("everybody can be closed", async () => {
  const { open, link, registry } = setUp();
  const links = [link(), link({ deviceId: "dev2", moduleId: undefined })];
  for (const one of links) await open(one);
  registry.closeAll("hub.stopping", "bye");
  expect(links.map(({ ends }) => ends)).toEqual([["hub.stopping"], ["hub.stopping"]]);
});
