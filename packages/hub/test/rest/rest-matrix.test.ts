import { restRoutes } from "@hubwire/protocol";
import type { RestRoute, RestRouteName } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { furnish, pathOf, recipes } from "./recipes.ts";
import { createTlsWorld } from "./tls-world.ts";
import type { Answer } from "./tls-world.ts";
import { version } from "./rest-world.ts";

type Named = RestRoute & { name: RestRouteName };
const named: readonly (readonly [string, Named])[] = restRoutes.map((route) => [route.name, route]);

type Change = { path?: string; headers?: Record<string, string>; deviceId?: string };

/** A world of its own with the route's call in it: whatever one call did, the next finds everything in place. */
async function ask(route: Named, change: Change = {}, ifMatch?: (etag: string) => string) {
  const world = await createTlsWorld();
  await furnish(world);
  const { params, body, etag } = recipes[route.name];
  const path = change.path ?? pathOf(route.path, params, change.deviceId);
  const current = (await etag?.(world)) ?? "";
  const match = ifMatch?.(current);
  const headers = { ...(match === undefined ? {} : { "if-match": match }), ...change.headers };
  const answer = await world.send(route.method, `${path}?${version}`, body, headers);
  return { ...world, answer };
}

const faceOf = ({ status, headers }: Answer): string =>
  `${status} ${String(headers["iothub-errorcode"] ?? "")}`.trim();

/** What makes the call go well, where it needs If-Match at all. */
const any = (route: Named) => (route.ifMatch === undefined ? undefined : () => "*");

test.each(named)("%s over HTTPS goes well, with the headers of its kind", async (_name, route) => {
  const { answer, log } = await ask(route, {}, any(route));
  expect(faceOf(answer)).toBe(String(route.status));
  expect(answer.headers["x-ms-request-id"]).toMatch(/^request-\d+$/);
  if (route.response === "none") expect(answer.body).toBe("");
  else {
    expect(answer.headers["content-type"]).toMatch(/^application\/.*json; charset=utf-8$/);
    const { etag } = JSON.parse(answer.body) as { etag?: string };
    if (etag !== undefined) expect(answer.headers.etag).toBe(`"${etag}"`);
  }
  expect(log).toEqual([]);
});

test.each(named)("%s is found in any case and with a slash at the end", async (_name, route) => {
  const { params } = recipes[route.name];
  const mixed = route.path.replaceAll(
    /\/([a-z]+)/g,
    (_whole, word: string) => `/${word.slice(0, 1).toUpperCase()}${word.slice(1)}`,
  );
  const { answer } = await ask(route, { path: `${pathOf(mixed, params)}/` }, any(route));
  expect(faceOf(answer)).toBe(String(route.status));
});

const withEtag = named.filter(([, route]) => route.ifMatch !== undefined);
const forms: readonly (readonly [string, (etag: string) => string])[] = [
  ["quoted", (etag) => `"${etag}"`],
  ["bare", (etag) => etag],
  ["weak", (etag) => `W/"${etag}"`],
  ["the wildcard", () => "*"],
  ["the quoted wildcard", () => '"*"'],
];
const goodForms = withEtag.flatMap(([name, route]) =>
  forms.map(([form, write]) => [name, form, route, write] as const),
);

test.each(goodForms)("%s takes its etag: %s", async (_name, _form, route, write) => {
  const { answer } = await ask(route, {}, write);
  expect(faceOf(answer)).toBe(String(route.status));
});

const wrongForms: readonly (readonly [string, (etag: string) => string])[] = [
  ["of another life", () => '"MTIz"'],
  ["one letter longer", (etag) => `"${etag}x"`],
  ["in another case", (etag) => `"${etag.toLowerCase()}"`],
  ["nothing in quotes", () => '""'],
  ["a lone quote", () => '"'],
  ["a list", (etag) => `"MTIz", "${etag}"`],
  ["a list of stars", () => "*, *"],
  ["8 KB", () => `"${"x".repeat(8_000)}"`],
];
const badForms = withEtag.flatMap(([name, route]) =>
  wrongForms.map(([form, write]) => [name, form, route, write] as const),
);

test.each(badForms)("%s refuses an etag that is %s", async (_name, _form, route, write) => {
  const world = await ask(route, {}, write);
  expect(faceOf(world.answer)).toBe("412 PreconditionFailed");
  expect(await world.identities.find({ deviceId: "d", moduleId: "m" })).toBeDefined();
  expect((await world.twins.read({ deviceId: "d", moduleId: undefined })).twin["tags"]).toEqual({});
});

const without = { update: "409", required: "412 PreconditionFailed", optional: "200" } as const;

test.each(withEtag)("%s without If-Match", async (_name, route) => {
  const { answer } = await ask(route);
  expect(faceOf(answer)).toMatch(new RegExp(`^${without[route.ifMatch ?? "optional"]}`));
});

const aboutDevices = named.filter(([name]) => recipes[name as RestRouteName].missing !== undefined);

test.each(aboutDevices)("%s of a device that is not there", async (name, route) => {
  const { answer } = await ask(route, { deviceId: "x" }, any(route));
  expect(faceOf(answer)).toBe(recipes[name as RestRouteName].missing);
});

const withIds = named.filter(([, route]) => route.path.includes("{"));

test.each(withIds)("%s refuses malformed percent-encoding", async (_name, route) => {
  for (const bad of ["%", "%z1", "%ff", "a%C3", "%ED%A0%80"]) {
    const path = route.path.replace(/\{\w+\}/, bad).replaceAll(/\{\w+\}/g, "m");
    const { answer } = await ask(route, { path }, any(route));
    expect(faceOf(answer)).toBe("400 GenericBadRequest");
  }
});

const withBody = named.filter(([, route]) => route.request !== "none");

test.each(withBody)("%s refuses a body of another type", async (_name, route) => {
  for (const type of ["text/plain", "application/xml", "application/json; charset=utf-16"]) {
    const { answer } = await ask(route, { headers: { "content-type": type } }, any(route));
    expect(faceOf(answer)).toBe("415 GenericUnsupportedMediaType");
  }
});

const badBodies = ["", "{", "[1,", '{"a":1}}', "'a'", "\u0000", `${"[".repeat(2_000)}`];

test.each(withBody)("%s refuses a body that is not JSON", async (_name, route) => {
  const world = await createTlsWorld();
  await furnish(world);
  for (const text of badBodies) {
    const path = `${pathOf(route.path, recipes[route.name].params)}?${version}`;
    const headers = { "content-type": "application/json", "if-match": "*" };
    const outgoing = world.begin(route.method, path, headers);
    outgoing.end(text);
    const answer = await world.answerOf(await world.responseTo(outgoing));
    expect(faceOf(answer)).toBe("400 ArgumentInvalid");
  }
});

test.each(withBody)("%s refuses JSON of another shape", async (_name, route) => {
  const world = await createTlsWorld();
  await furnish(world);
  const shapes = ["text", 5, true, null, ...(route.request === "bulk" ? [{}] : [[]])];
  for (const body of shapes) {
    const path = `${pathOf(route.path, recipes[route.name].params)}?${version}`;
    const answer = await world.send(route.method, path, body, { "if-match": "*" });
    expect(faceOf(answer)).toBe("400 ArgumentInvalid");
  }
});
