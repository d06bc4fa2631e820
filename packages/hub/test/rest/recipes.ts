import type { RestRouteName } from "@hubwire/protocol";
import type { createTlsWorld } from "./tls-world.ts";
import { device, module, writeOf } from "./world.ts";

type TlsWorld = Awaited<ReturnType<typeof createTlsWorld>>;

/** How to make a call of a route that goes well, in a world that `furnish` prepared. */
export type Recipe = {
  /** What stands for the path's parameters; `d` and `m` unless given. */
  params?: Readonly<Record<string, string>>;
  body?: unknown;
  /** The etag that If-Match has to name. */
  etag?: (world: TlsWorld) => Promise<string>;
  /** What an unknown id is answered with, `status name`. */
  missing?: string;
};

const ofIdentity = (moduleId: string | undefined) => async (world: TlsWorld) =>
  (await world.identities.find({ deviceId: "d", moduleId }))?.etag ?? "";
const ofTwin = (moduleId: string | undefined) => async (world: TlsWorld) =>
  (await world.twins.read({ deviceId: "d", moduleId })).etag;

const call = { methodName: "m", payload: { x: 1 }, responseTimeoutInSeconds: 5 };
const noDevice = "404 DeviceNotFound";

export const recipes: Readonly<Record<RestRouteName, Recipe>> = {
  "devices.list": {},
  "devices.bulk": { body: [{ id: "new", importMode: "create" }] },
  "devices.query": { body: { query: "SELECT * FROM devices" } },
  "device.get": { missing: noDevice },
  "device.put": { body: { status: "disabled" }, etag: ofIdentity(undefined), missing: noDevice },
  "device.delete": { etag: ofIdentity(undefined), missing: noDevice },
  "commands.purge": { missing: noDevice },
  "modules.list": { missing: noDevice },
  "module.get": { missing: noDevice },
  "module.put": { body: { managedBy: "me" }, etag: ofIdentity("m"), missing: noDevice },
  "module.delete": { etag: ofIdentity("m"), missing: noDevice },
  "twin.get": { missing: noDevice },
  "twin.patch": { body: { tags: { a: 1 } }, etag: ofTwin(undefined), missing: noDevice },
  "twin.put": { body: { tags: { a: 1 } }, etag: ofTwin(undefined), missing: noDevice },
  "moduleTwin.get": { missing: noDevice },
  "moduleTwin.patch": { body: { tags: { a: 1 } }, etag: ofTwin("m"), missing: noDevice },
  "moduleTwin.put": { body: { tags: { a: 1 } }, etag: ofTwin("m"), missing: noDevice },
  "method.invoke": { body: call, missing: noDevice },
  "moduleMethod.invoke": { body: call, missing: "404 ModuleNotFound" },
  "statistics.devices": {},
  "statistics.service": {},
  "feedback.receive": {},
  "feedback.complete": { params: { lockToken: "lock-1" } },
  "feedback.abandon": { params: { lockToken: "lock-1" } },
};

/** A device `d` with a module `m`, both connected and answering methods; a locked batch of feedback and one that waits. */
export async function furnish(world: TlsWorld): Promise<void> {
  const { identities, connections, methods, feedback } = world;
  for (const ref of [device("d"), module("d", "m")]) {
    const { generationId } = await identities.create(writeOf(ref));
    const connection = connections.connect(ref, generationId, ["methods"]);
    connection.sendMethod = (rid, _name, payload) => methods.respond(connection, rid, 200, payload);
  }
  for (const sequence of [1, 2]) {
    feedback.batches.push({
      lockToken: "",
      sequence,
      enqueuedAtMs: Date.UTC(2025, 0, 1),
      deliveryCount: 1,
      records: [
        {
          originalMessageId: `m${sequence}`,
          deviceId: "d",
          deviceGenerationId: "1",
          enqueuedAtMs: Date.UTC(2025, 0, 1),
          statusCode: "Success",
        },
      ],
    });
  }
  await feedback.receive();
}

/** The path of a route with everything in its place, percent-encoded. */
export const pathOf = (
  path: string,
  params: Readonly<Record<string, string>> = {},
  deviceId = "d",
): string =>
  path.replaceAll(/\{(\w+)\}/g, (_whole, name: string) =>
    encodeURIComponent(params[name] ?? (name === "moduleId" ? "m" : deviceId)),
  );
