import * as fc from "fast-check";
import { matches, parseQuery, queryPageSizeMax } from "@hubwire/protocol";
import type { JsonObject } from "@hubwire/protocol";
import { describe, expect, test } from "vitest";
import { createQueries } from "../../src/domain/query/index.ts";
import { generationKey } from "../../src/domain/services.ts";
import { createFleet, device, everyItem, everyPage, idsOf, module } from "./fleet.ts";
import type { Fleet } from "./fleet.ts";

const runs = Number(process.env["HUBWIRE_LONG"] === "1" ? 1_000 : 30);
const idOf = (n: number): string => `d${String(n).padStart(5, "0")}`;

/** Devices of every kind, more than a store reads without an index. */
async function largeFleet(size = 1_300): Promise<Fleet> {
  const fleet = createFleet();
  const one = async (n: number): Promise<void> => {
    const sections = {
      tags: { site: `s${n % 7}`, odd: n % 2 === 1, ...(n % 3 === 0 && { rare: n % 90 }) },
      properties: { desired: { level: n % 11, nested: { list: [n % 4] } } },
    };
    await fleet.register(
      device(idOf(n)),
      n % 5 === 0 ? {} : sections,
      n % 40 ? "enabled" : "disabled",
    );
    if (n % 100 === 0) await fleet.register(module(idOf(n), `m${n % 3}`), { tags: { site: "s1" } });
    if (n % 50 !== 0) return;
    fleet.presences.set(idOf(n), {
      connected: n % 100 === 0,
      connectionStateUpdatedAtMs: 1_700_000_000_000,
      lastActivityAtMs: 1_700_000_000_000 + n,
    });
  };
  await Promise.all(Array.from({ length: size }, (_, n) => one(n)));
  return fleet;
}

const fleet = await largeFleet();
const wholeFleet = (await everyItem(fleet.plain, "SELECT * FROM devices", 1000)) as JsonObject[];

describe("ways to the same result", () => {
  const condition = fc.constantFrom(
    ..."tags.site = 's3'|tags.site IN ['s1', 's2', 5]|tags.site NIN ['s1']|'s5' < tags.site".split(
      "|",
    ),
    ..."tags.odd = true|tags.odd|tags.rare > 70|tags.rare <= 0|IS_DEFINED(tags.rare)".split("|"),
    ..."NOT IS_DEFINED(tags.site)|properties.desired.level = 3|properties.desired.level >= 9".split(
      "|",
    ),
    ..."properties.desired.nested.list[0] = 2|properties.desired.$version = 1|version > 2".split(
      "|",
    ),
    ..."status = 'disabled'|status != 'enabled'|STARTSWITH(deviceId, 'd001')".split("|"),
    ..."deviceId IN ['d00003', 'd01299', 'nobody', 'zoë']|deviceId = 'd00008'|deviceId > 'd01'".split(
      "|",
    ),
    ..."connectionState = 'Connected'|connectionState = 'Disconnected'".split("|"),
    ..."lastActivityTime > '2023'|lastActivityTime < '2023'|authenticationType = 'sas'".split("|"),
    ..."capabilities.iotEdge = true|modelId = ''|STARTSWITH(tags.site, 's')|1 = 1".split("|"),
    ..."tags.rare = 3 OR tags.site = 's1'|cloudToDeviceMessageCount = 0|tags.nothing = 1".split(
      "|",
    ),
  );

  test("indexes, lists and paging change nothing about what is found", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(condition, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 40, max: 1200 }),
        fc.boolean(),
        async (conditions, pageSize, isWhole) => {
          const where = conditions.map((one) => `(${one})`).join(" AND ");
          const text = `SELECT ${isWhole ? "*" : "deviceId, tags.site"} FROM devices WHERE ${where}`;
          const expected = wholeFleet.filter((twin) => matches(parseQuery(text).where, twin));
          const found = await everyItem(fleet.query, text, pageSize);
          expect(idsOf(found)).toEqual(idsOf(expected));
          if (isWhole) expect(found).toEqual(expected);
          expect(await everyItem(fleet.plain, text, pageSize)).toEqual(found);
        },
      ),
      { numRuns: runs },
    );
  }, 60_000);

  test.each([
    ["a tag", "tags.rare = 3", 40],
    ["a reported or desired number", "properties.desired.level = 3 AND tags.rare = 3", 40],
    ["the rarer of two", "tags.odd = true AND tags.rare = 3", 60],
    ["status", "status = 'disabled'", 120],
    ["a device id", "deviceId = 'd00100'", 4],
    ["the beginning of a device id", "STARTSWITH(deviceId, 'd0010')", 25],
    ["who is connected", "connectionState = 'Connected'", 30],
    ["who was active", "lastActivityTime >= '2023-01-01'", 60],
  ])("a query by %s reads few documents", async (_, where, most) => {
    const text = `SELECT * FROM devices WHERE ${where}`;
    fleet.read.documents = 0;
    const found = await everyItem(fleet.query, text);
    expect(found.length).toBeGreaterThan(0);
    expect(fleet.read.documents).toBeLessThanOrEqual(most);
  });

  test("modules are found without reading every device", async () => {
    fleet.read.documents = 0;
    const found = await everyItem(fleet.query, "SELECT * FROM devices.modules");
    expect(found).toHaveLength(13);
    expect(fleet.read.documents).toBeLessThanOrEqual(39);
  });

  test("a count reads identities and no twins", async () => {
    fleet.read.documents = 0;
    expect(await everyItem(fleet.query, "SELECT COUNT() AS n FROM devices")).toEqual([{ n: 1300 }]);
    expect(fleet.read.documents).toBe(1313);
  });
});

describe("pages", () => {
  test("the last page says nothing of another, also when it is full", async () => {
    const sizes = async (text: string, pageSize?: number): Promise<number[]> =>
      (await everyPage(fleet.query, text, pageSize)).map(({ items }) => items.length);
    expect(await sizes("SELECT * FROM devices WHERE deviceId < 'd00250'")).toEqual([100, 100, 50]);
    expect(await sizes("SELECT * FROM devices WHERE deviceId < 'd00250'", 125)).toEqual([125, 125]);
    expect(await sizes("SELECT * FROM devices WHERE deviceId = 'nobody'")).toEqual([0]);
    expect(await sizes("SELECT * FROM devices", 5_000)).toEqual([queryPageSizeMax, 300]);
    expect(await sizes("SELECT TOP 7 * FROM devices", 3)).toEqual([3, 3, 1]);
    expect(await sizes("SELECT TOP 6 * FROM devices", 3)).toEqual([3, 3]);
    expect(await sizes("SELECT TOP 3 * FROM devices WHERE tags.odd = true", 3)).toEqual([3]);
    const groups = "SELECT tags.site, COUNT() AS n FROM devices GROUP BY tags.site";
    expect(await sizes(groups, 3)).toEqual([3, 3, 2]);
    expect(await sizes(groups.replace("SELECT", "SELECT TOP 4"), 4)).toEqual([4]);
  });

  test.each([
    ["the registry's order", "SELECT deviceId FROM devices"],
    ["the order of an index", "SELECT deviceId FROM devices WHERE tags.x = 1"],
    ["a span", "SELECT deviceId FROM devices WHERE tags.x > 0"],
  ])("while devices come and go, %s repeats and skips nobody", async (_, text) => {
    const changing = createFleet();
    const ids = Array.from({ length: 1_200 }, (__, n) => idOf(n));
    await Promise.all(ids.map((id) => changing.register(device(id), { tags: { x: 1 } })));
    let round = 0;
    const pages = await everyPage(changing.query, text, 100, async () => {
      round++;
      await changing.register(device(`a${round}`), { tags: { x: 1 } });
      await changing.register(device(`z${round}`), { tags: { x: 1 } });
      await changing.identities.delete(device(idOf(round * 10)), "*");
      await changing.twins.patch(device(idOf(round * 10 + 1)), { tags: { y: 1 } }, undefined);
    });
    const found = idsOf(pages.flatMap(({ items }) => items));
    expect(new Set(found).size).toBe(found.length);
    // What was deleted had been passed, what came in front is not met any more.
    expect(found.filter((id) => id.startsWith("d"))).toEqual(ids);
    expect(found.filter((id) => id.startsWith("a"))).toEqual([]);
    expect(found.filter((id) => id.startsWith("z")).length).toBeGreaterThanOrEqual(round - 1);
  });

  test("a lookup that is given up between pages leaves the order as it was", async () => {
    const { counted, connections, stores } = fleet;
    let isGivenUp = false;
    const fickle = createQueries({
      documents: {
        ...counted,
        lookup: async (...asked) => (isGivenUp ? undefined : counted.lookup(...asked)),
      },
      connections,
      c2d: stores.c2d,
    });
    const text = "SELECT * FROM devices WHERE properties.desired.level >= 9";
    const giveUp = async (): Promise<void> => {
      isGivenUp = true;
    };
    const pages = await everyPage(fickle, text, 30, giveUp);
    const whole = await everyItem(fleet.query, text);
    expect(pages.length).toBeGreaterThan(3);
    expect(pages.flatMap(({ items }) => items)).toEqual(whole);
  });

  test("a token is good for its own query alone", async () => {
    const text = "SELECT * FROM devices";
    const { continuation = "" } = await fleet.query.run({ text }, page(10));
    const refused = { code: "query.bad_continuation" };
    const other = { text: "SELECT * FROM devices WHERE 1 = 1" };
    await expect(fleet.query.run(other, page(10, continuation))).rejects.toMatchObject(refused);
    const counted = { text: "SELECT COUNT() AS n FROM devices" };
    await expect(fleet.query.run(counted, page(10, continuation))).rejects.toMatchObject(refused);
    const values = [
      "",
      "x",
      "AAAA",
      `${continuation}x`.slice(5),
      "W10",
      "eyJhIjoxfQ",
      "é".repeat(9_000),
    ];
    const json = Buffer.from(continuation, "base64url").toString();
    const forged = [
      json.replace("identities", "hub"),
      json.replace("identities", "rows"),
      json.replace("[1,", "[2,"),
    ];
    values.push(...forged.map((one) => Buffer.from(one).toString("base64url")));
    for (const value of values) {
      await expect(fleet.query.run({ text }, page(10, value))).rejects.toMatchObject(refused);
    }
  });

  test.each([0, -1, 1.5, Number.NaN, Infinity])("a page of %s items is refused", async (size) => {
    const run = fleet.query.run({ text: "SELECT * FROM devices" }, page(size));
    await expect(run).rejects.toMatchObject({ code: "query.bad_page_size" });
  });

  test("a page of large twins ends early and the next goes on", async () => {
    const heavy = createFleet();
    const list = Array.from({ length: 7 }, () => "x".repeat(4_000));
    for (let n = 0; n < 320; n++) {
      await heavy.register(device(idOf(n)), { properties: { desired: { list } } });
    }
    const pages = await everyPage(heavy.query, "SELECT * FROM devices", 1000);
    const [first = 0, ...others] = pages.map(({ items }) => items.length);
    expect(first).toBeGreaterThan(250);
    expect(others).toEqual([320 - first]);
    expect(idsOf(pages.flatMap(({ items }) => items))).toHaveLength(320);
  });

  test("too many queries at a time are told to come back", async () => {
    const run = () => fleet.query.run({ text: "SELECT COUNT() AS n FROM devices" }, page());
    const outcomes = await Promise.allSettled(Array.from({ length: 70 }, run));
    const refused = outcomes.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(6);
    expect(refused[0]).toMatchObject({ reason: { code: "query.busy", retryable: true } });
    expect(await run()).toMatchObject({ items: [{ n: 1300 }] });
  });
});

const page = (pageSize?: number, continuation?: string) => ({ pageSize, continuation });

describe("what is shown", () => {
  test("a twin is the one that the twin's own address shows", async () => {
    const small = createFleet();
    await small.register(device("d"), {
      tags: { a: 1 },
      properties: { desired: { b: { c: [1] } } },
    });
    await small.register(module("d", "m"), { tags: { a: 2 } });
    await small.register(device("fresh"));
    const { generationId } = (await small.identities.find(device("d")))!;
    const message = { enqueuedAtMs: 1, expiresAtMs: 2, properties: {}, body: new Uint8Array(1) };
    await small.stores.c2d.enqueue(generationKey(device("d"), generationId), message, 50);
    small.presences.set("d", {
      connected: true,
      connectionStateUpdatedAtMs: 1_700_000_000_000,
      lastActivityAtMs: 1_700_000_000_000,
    });
    const read = async (ref: { deviceId: string; moduleId: string | undefined }) =>
      (await small.twins.read(ref)).twin;
    expect(await small.query.run({ text: "SELECT * FROM devices" }, page())).toEqual({
      itemType: "Twin",
      items: [await read(device("d")), await read(device("fresh"))],
      continuation: undefined,
    });
    expect(await small.query.run({ text: "SELECT * FROM devices.modules" }, page())).toEqual({
      itemType: "Twin",
      items: [await read(module("d", "m"))],
      continuation: undefined,
    });
    const facts = "SELECT connectionState, lastActivityTime, cloudToDeviceMessageCount AS n, etag";
    expect(await small.query.run({ text: `${facts} FROM devices` }, page())).toEqual({
      itemType: "Raw",
      items: [
        {
          connectionState: "Connected",
          lastActivityTime: "2023-11-14T22:13:20.0000000Z",
          n: 1,
          etag: "AAAAAAAAAAI=",
        },
        {
          connectionState: "Disconnected",
          lastActivityTime: "0001-01-01T00:00:00Z",
          n: 0,
          etag: "AAAAAAAAAAE=",
        },
      ],
      continuation: undefined,
    });
  });

  test("what a deleted device left behind is not found under its successor", async () => {
    const small = createFleet();
    await small.register(device("d"), { tags: { y: 1 } });
    await small.register(module("d", "m"), { tags: { x: 1 } });
    const [ofModule] = await small.stores.documents.list("twins", { prefix: "d/m@", limit: 1 });
    const ghost = ofModule!.value;
    await small.stores.documents.put("twins", "d@1", ghost, "absent");
    await small.stores.documents.put("twins", "gone@1", ghost, "absent");
    const orphan = await small.stores.documents.get("identities", "d/m");
    const dead = { ...(orphan!.value as object), moduleId: "o", deviceGenerationId: "1" };
    await small.stores.documents.put("identities", "d/o", dead, "absent");
    await small.stores.documents.put(
      "identities",
      "gone/o",
      { ...dead, deviceId: "gone" },
      "absent",
    );
    const found = async (text: string): Promise<string[]> =>
      idsOf(await everyItem(small.query, text));
    expect(await found("SELECT * FROM devices WHERE tags.x = 1")).toEqual([]);
    expect(await found("SELECT * FROM devices WHERE tags.y = 1")).toEqual(["d"]);
    expect(await found("SELECT * FROM devices.modules")).toEqual(["d/m"]);
    expect(await found("SELECT * FROM devices.modules WHERE tags.x = 1")).toEqual(["d/m"]);
  });

  test("a module shows its device's status and is found by it", async () => {
    const small = createFleet();
    await small.register(device("off"), {}, "disabled");
    await small.register(module("off", "m"));
    await small.register(device("on"));
    await small.register(module("on", "m"));
    await small.register(module("on", "n"));
    const found = async (where: string): Promise<string[]> =>
      idsOf(await everyItem(small.query, `SELECT * FROM devices.modules WHERE ${where}`));
    expect(await found("status = 'disabled'")).toEqual(["off/m"]);
    expect(await found("moduleId = 'm'")).toEqual(["off/m", "on/m"]);
    expect(await found("deviceId = 'on'")).toEqual(["on/m", "on/n"]);
    expect(await found("deviceId IN ['on', 'off'] AND moduleId != 'm'")).toEqual(["on/n"]);
  });

  test("there are no jobs, and asking for them is no mistake", async () => {
    const text = "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'x'";
    const none = { itemType: "DeviceJob", items: [], continuation: undefined };
    expect(await fleet.query.run({ text }, page())).toEqual(none);
  });

  test("a query that cannot be read is refused with its place", async () => {
    const run = fleet.query.run({ text: "SELECT * FORM devices" }, page());
    await expect(run).rejects.toMatchObject({ code: "query.syntax", line: 1, column: 10 });
  });
});
