import { expect, test } from "vitest";
import { createTlsWorld } from "./tls-world.ts";
import type { Answer } from "./tls-world.ts";
import { version } from "./rest-world.ts";

const at = (path: string): string => `${path}?${version}`;
const faceOf = ({ status, headers }: Answer): string =>
  `${status} ${String(headers["iothub-errorcode"] ?? "")}`.trim();
const legal = "ABCXYZabcxyz0123456789-.+%_#*?!(),:=@$'";
const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
const isLegal = (character: string): boolean =>
  /[A-Za-z0-9]/.test(character) || legal.includes(character);
const illegal = [
  ...ascii.filter((character) => !isLegal(character)),
  "é",
  "日",
  "😀",
  "\u200b",
  "\u0130",
];

test("every legal character may stand anywhere in an id, and comes back as it was", async () => {
  const { send } = await createTlsWorld();
  expect((await send("PUT", at("/devices/host"), {})).status).toBe(200);
  for (const character of legal) {
    for (const id of [character, `a${character}`, `${character}a`, `a${character}${character}b`]) {
      const path = `/devices/${encodeURIComponent(id)}`;
      expect(faceOf(await send("PUT", at(path), { deviceId: id })), id).toBe("200");
      expect(JSON.parse((await send("GET", at(path))).body)).toMatchObject({ deviceId: id });
      const twin = await send("GET", at(`/twins/${encodeURIComponent(id)}`));
      expect(JSON.parse(twin.body)).toMatchObject({ deviceId: id });
      const ofModule = `/devices/host/modules/${encodeURIComponent(id)}`;
      const put = await send("PUT", at(ofModule), { moduleId: id, deviceId: "host" });
      expect(faceOf(put), id).toBe(id.startsWith("$") ? "400 ArgumentInvalid" : "200");
      if (put.status === 200) {
        expect((await send("DELETE", at(ofModule), undefined, { "if-match": "*" })).status).toBe(
          204,
        );
      }
      expect((await send("DELETE", at(path), undefined, { "if-match": "*" })).status).toBe(204);
    }
  }
});

test("every illegal character is refused in device and module ids, in any place", async () => {
  const { send, identities } = await createTlsWorld();
  await send("PUT", at("/devices/host"), {});
  for (const character of illegal) {
    for (const id of [character, `a${character}`, `${character}a`]) {
      const encoded = encodeURIComponent(id);
      const face = "400 ArgumentInvalid";
      expect(faceOf(await send("PUT", at(`/devices/${encoded}`), {})), encoded).toBe(face);
      expect(faceOf(await send("PUT", at(`/devices/host/modules/${encoded}`), {})), encoded).toBe(
        face,
      );
      const bulk = await send("POST", at("/devices"), [{ id, importMode: "create" }]);
      expect(JSON.parse(bulk.body)).toMatchObject({ errors: [{ errorCode: "ArgumentInvalid" }] });
      expect(faceOf(await send("GET", at(`/devices/${encoded}`))), encoded).toBe(
        "404 DeviceNotFound",
      );
    }
  }
  expect(await identities.listDevices(10)).toHaveLength(1);
  expect(await identities.listModules("host")).toHaveLength(0);
});

test("an encoded slash makes no module of a device id, nor of a module id", async () => {
  const { send, identities, c2d } = await createTlsWorld();
  await send("PUT", at("/devices/host"), {});
  await send("PUT", at("/devices/host/modules/m"), {});
  for (const path of ["/devices/host%2Fm", "/twins/host%2Fm", "/devices/host%2fm/modules"]) {
    expect(faceOf(await send("GET", at(path))), path).toBe("404 DeviceNotFound");
  }
  const headers = { "if-match": "*" };
  const gone = await send("DELETE", at("/devices/host%2Fm"), undefined, headers);
  expect(faceOf(gone)).toBe("404 DeviceNotFound");
  expect(faceOf(await send("DELETE", at("/devices/host%2Fm/commands")))).toBe("404 DeviceNotFound");
  await expect(c2d.service.count("host/m")).rejects.toThrow("is registered");
  expect(await identities.listModules("host")).toHaveLength(1);
});

test.each([
  ["128 characters", "a".repeat(128), "200"],
  ["129 characters", "a".repeat(129), "400 ArgumentInvalid"],
  ["a dot", ".", "200"],
  ["two dots", "..", "200"],
  ["the name of an object's member", "__proto__", "200"],
  ["another of them", "constructor", "200"],
  ["percent signs that look encoded", "%41", "200"],
  ["10,000 characters", "a".repeat(10_000), "400 GenericBadRequest"],
])("an id of %s", async (_sentence, id, face) => {
  const { send, identities } = await createTlsWorld();
  expect(faceOf(await send("PUT", at(`/devices/${encodeURIComponent(id)}`), {}))).toBe(face);
  const found = await identities.listDevices(10);
  expect(found.map(({ deviceId }) => deviceId)).toEqual(face === "200" ? [id] : []);
});

const nested = (depth: number): object =>
  depth === 0 ? {} : { a: depth === 1 ? 1 : nested(depth - 1) };
/** Counts as `bytes` in a section: names and text by their UTF-8, the rest by its kind. */
const filled = (bytes: number): object => {
  const section: Record<string, string> = {};
  for (let left = bytes, i = 0; left > 0; i++) {
    const size = Math.min(left, 4_000);
    section[`k${String(i).padStart(3, "0")}`] = "x".repeat(Math.max(0, size - 4));
    left -= size;
  }
  return section;
};
const ok = "200";
const invalid = "400 ArgumentInvalid";

const sections: [sentence: string, section: unknown, face: string][] = [
  ["a member called __proto__", JSON.parse('{"__proto__":{"polluted":1}}'), ok],
  ["a deeper __proto__", JSON.parse('{"a":{"__proto__":{"polluted":1}}}'), ok],
  ["a constructor", JSON.parse('{"constructor":{"prototype":{"polluted":1}}}'), ok],
  ["ten objects below it", nested(11), ok],
  ["eleven objects below it", nested(12), invalid],
  ["depth 100", nested(100), invalid],
  ["depth 1,000", nested(1_000), invalid],
  ["an array", { a: [1, "two", { three: 3 }, [4]] }, ok],
  ["an array instead of an object", [1], invalid],
  ["text instead of an object", "x", invalid],
  ["a number instead of an object", 1, invalid],
  ["true instead of an object", true, invalid],
  ["null", null, ok],
  ["a null inside", { a: null }, ok],
  ["a null deep inside", { a: { b: { c: null } } }, ok],
  ["a dot in a name", { "a.b": 1 }, invalid],
  ["a dollar sign in a name", { $a: 1 }, invalid],
  ["a space in a name", { "a b": 1 }, invalid],
  ["a name that is empty", { "": 1 }, invalid],
  ["text of 4 KB and one byte", { a: "x".repeat(4_097) }, invalid],
  ["an integer above 2^52", { a: 4_503_599_627_370_497 }, invalid],
];
const ways = ["PATCH tags", "PATCH desired", "PUT tags", "PUT desired"];

test.each(sections)("a twin section with %s", async (_sentence, section, face) => {
  const { send } = await createTlsWorld();
  await send("PUT", at("/devices/d"), {});
  for (const way of ways) {
    const [method = "", where] = way.split(" ");
    const body = where === "tags" ? { tags: section } : { properties: { desired: section } };
    const answer = await send(method, at("/twins/d"), body);
    expect(faceOf(answer), way).toBe(face);
  }
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  expect((await send("GET", at("/twins/d"))).status).toBe(200);
});

const KIB = 1024;

test.each([
  ["tags", 8 * KIB - 100, ok],
  ["tags", 9 * KIB, "413 MessageTooLarge"],
  ["desired", 32 * KIB - 100, ok],
  ["desired", 33 * KIB, "413 MessageTooLarge"],
])("%s of %d bytes", async (where, bytes, face) => {
  const { send } = await createTlsWorld();
  await send("PUT", at("/devices/d"), {});
  for (const method of ["PATCH", "PUT"]) {
    const section = filled(bytes);
    const body = where === "tags" ? { tags: section } : { properties: { desired: section } };
    expect(faceOf(await send(method, at("/twins/d"), body))).toBe(face);
  }
});

test("a twin grows no further by patches that are small each", async () => {
  const { send } = await createTlsWorld();
  await send("PUT", at("/devices/d"), {});
  const faces: string[] = [];
  for (let i = 0; i < 12; i++) {
    const body = { properties: { desired: { [`part${i}`]: filled(3 * KIB) } } };
    faces.push(faceOf(await send("PATCH", at("/twins/d"), body)));
  }
  expect(faces.slice(0, 10)).toEqual(Array<string>(10).fill(ok));
  expect(faces.at(-1)).toBe("413 MessageTooLarge");
  const { properties } = JSON.parse((await send("GET", at("/twins/d"))).body) as {
    properties: { desired: { $version: number } };
  };
  expect(properties.desired.$version).toBe(1 + faces.filter((face) => face === ok).length);
});

test("a twin sent back whole, as it was read, changes nothing but its versions", async () => {
  const { send } = await createTlsWorld();
  await send("PUT", at("/devices/d"), {});
  const patch = { tags: { a: [1] }, properties: { desired: { b: { c: null, d: 1 } } } };
  const read = await send("PATCH", at("/twins/d"), patch);
  const whole = JSON.parse(read.body) as Record<string, unknown>;
  const again = await send("PUT", at("/twins/d"), whole, {
    "if-match": `"${String(whole["etag"])}"`,
  });
  expect(faceOf(again)).toBe(ok);
  expect(JSON.parse(again.body)).toMatchObject({
    tags: { a: [1] },
    properties: { desired: { b: { d: 1 } } },
  });
});
