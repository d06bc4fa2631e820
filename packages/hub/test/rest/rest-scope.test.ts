import { restRoutes } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { pathOf, recipes } from "./recipes.ts";
import { createRestWorld, faceOf, hostName, version } from "./rest-world.ts";
import { device, module, writeOf } from "./world.ts";

/** Azure IoT Hub docs, "Security tokens": a token for `/a/b` covers `/a/b/c`, never `/a/bc`. */
const cases: [resource: string, method: string, path: string, isCovered: boolean][] = [
  [hostName, "GET", "/devices/d", true],
  [`${hostName}/`, "GET", "/devices/d", true],
  [`${hostName.toUpperCase()}/devices`, "GET", "/devices/d", true],
  [`${hostName}:443/devices`, "GET", "/devices/d", true],
  [`${hostName}/devices`, "GET", "/devices", true],
  [`${hostName}/devices`, "GET", "/Devices/", true],
  [`${hostName}/DEVICES`, "GET", "/devices/d", true],
  [`${hostName}/devices`, "GET", "/devices/d/modules", true],
  [`${hostName}/devices/d`, "GET", "/devices/d/modules/m", true],
  [`${hostName}/devices/d/modules/m`, "GET", "/devices/d/modules/m", true],
  [`${hostName}/devices/d`, "GET", "/devices", false],
  [`${hostName}/devices/d`, "GET", "/devices/dd", false],
  [`${hostName}/devices/D`, "GET", "/devices/d", false],
  [`${hostName}/devices/d/modules/m`, "GET", "/devices/d", false],
  [`${hostName}/devices/d`, "GET", "/twins/d", false],
  [`${hostName}/devices`, "GET", "/statistics/devices", false],
  [`${hostName}/twins`, "GET", "/devices/d", false],
  [`other.test/devices`, "GET", "/devices/d", false],
  [`${hostName}.evil.test`, "GET", "/devices/d", false],
  [`x${hostName}`, "GET", "/devices/d", false],
];

test.each(cases)(
  "a token for %s asks %s %s: covered %s",
  async (resource, method, path, covered) => {
    const world = await createRestWorld();
    for (const ref of [device("d"), module("d", "m"), device("dd")]) {
      await world.identities.create(writeOf(ref));
    }
    const authorization = await world.token("iothubowner", { resource });
    const response = await world.call(method, `${path}?${version}`, { authorization });
    expect(faceOf(response)).toBe(covered ? "200" : "401 IotHubUnauthorized auth.token_scope");
  },
);

test("the key of a device opens no service route, not even its own device's", async () => {
  const world = await createRestWorld();
  const { authentication } = await world.identities.create(writeOf(device("d")));
  const key = authentication.type === "sas" ? authentication.primaryKey : "";
  const resource = `${hostName}/devices/d`;
  const signed = await world.token("", { resource, key });
  for (const route of restRoutes) {
    const { params, body } = recipes[route.name];
    for (const authorization of [signed.replace("&skn=", ""), signed]) {
      const path = `${pathOf(route.path, params)}?${version}`;
      const response = await world.call(route.method, path, { authorization, body });
      expect(faceOf(response), route.name).toBe("401 IotHubUnauthorized auth.policy_unknown");
    }
  }
});
