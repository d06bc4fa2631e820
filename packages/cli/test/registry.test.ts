import { afterAll, beforeAll, expect, test } from "vitest";
import { objectsIn } from "./support/run.ts";
import { createWorld, type World } from "./support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
  for (const [deviceId, room] of [
    ["d1", "kitchen"],
    ["d2", "cellar"],
    ["d3", "kitchen"],
  ] as const) {
    await world.hub.createDevice({ deviceId });
    await world.hubwire("twin", "update", deviceId, `{"tags":{"room":"${room}"}}`);
  }
});
afterAll(() => world[Symbol.asyncDispose]());

// ---- modules ----

test("a module is made, shown, listed, changed and deleted", async () => {
  const created = await world.hubwire("module", "create", "d1", "logger", "--managed-by", "me");
  expect(created.code).toBe(0);
  expect(created.stdout).toMatch(/^HostName=localhost:\d+;DeviceId=d1;ModuleId=logger;Shared/u);
  const text = await world.hubwire("module", "show", "d1", "logger");
  expect(text.stdout).toMatch(/^module +d1\/logger\nmanaged by +me\n/u);
  expect((await world.hubwire("module", "list", "d1")).stdout).toMatch(
    /^MODULE .*\nlogger +Disconnected +sas +me\n$/u,
  );
  const plain = await world.hubwire("module", "update", "d1", "logger", "--managed-by", "you");
  expect(plain.stdout).toMatch(/^Updated d1\/logger: etag \S+\.\n$/u);
  const [shown] = objectsIn(
    (await world.hubwire("module", "show", "d1", "logger", "--json")).stdout,
  );
  expect(shown).toMatchObject({ module: { managedBy: "you" } });
  // Its keys did not change by that, and do change when asked.
  expect(`${String(shown?.["connectionString"])}\n`).toBe(created.stdout);
  const rekeyed = await world.hubwire("module", "update", "d1", "logger", "--new-keys");
  expect(rekeyed.stdout).toMatch(/ModuleId=logger;SharedAccessKey=/u);
  expect(rekeyed.stdout).not.toBe(created.stdout);
  const stale = ["module", "update", "d1", "logger", "--managed-by", "x", "--if-match", "b2xk"];
  expect((await world.hubwire(...stale)).stderr).toContain("code: etag.mismatch");
  expect(await world.hubwire("module", "delete", "d1", "logger")).toEqual({
    code: 0,
    stdout: "Deleted d1/logger.\n",
    stderr: "",
  });
  expect((await world.hubwire("module", "list", "d1")).stderr).toContain(
    "hubwire module create d1",
  );
});

test("a module's twin is its own", async () => {
  await world.hubwire("module", "create", "d2", "m");
  await world.hubwire("twin", "update", "d2", '{"tags":{"a":1}}', "--module", "m");
  const [twin] = objectsIn((await world.hubwire("twin", "get", "d2", "-m", "m", "--json")).stdout);
  expect(twin).toMatchObject({ deviceId: "d2", moduleId: "m", tags: { a: 1 } });
  const [device] = objectsIn((await world.hubwire("twin", "get", "d2", "--json")).stdout);
  expect(device?.["tags"]).toEqual({ room: "cellar" });
});

// ---- queries ----

test("a query prints a twin a line, page after page", async () => {
  const ran = await world.hubwire("query", "SELECT * FROM devices", "--page-size", "1", "--json");
  expect(objectsIn(ran.stdout).map((twin) => twin["deviceId"])).toEqual(["d1", "d2", "d3"]);
  const two = await world.hubwire("query", "SELECT * FROM devices", "--top", "2", "--json");
  expect(objectsIn(two.stdout)).toHaveLength(2);
});

test("what is flat is a table for people", async () => {
  const text = "SELECT deviceId, tags.room AS room FROM devices WHERE tags.room = 'kitchen'";
  const ran = await world.hubwire("query", text);
  expect(ran).toEqual({
    code: 0,
    stdout: "deviceId  room\nd1        kitchen\nd3        kitchen\n",
    stderr: "",
  });
});

test("nothing found is said, and is no failure", async () => {
  const ran = await world.hubwire("query", "SELECT * FROM devices WHERE tags.room = 'attic'");
  expect(ran).toEqual({ code: 0, stdout: "", stderr: "Nothing matches.\n" });
});
