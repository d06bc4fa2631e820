import { absentRoutes } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { furnish } from "./recipes.ts";
import { createRestWorld, faceOf, jsonOf, version } from "./rest-world.ts";
import { createTlsWorld } from "./tls-world.ts";

const query = `/devices/query?${version}`;
const body = { query: "SELECT * FROM devices" };

test("a query is paged by headers, and the last page has no continuation", async () => {
  const world = await createRestWorld();
  const ask = (headers: Record<string, string>) => world.call("POST", query, { body, headers });
  const first = await ask({ "x-ms-max-item-count": "2" });
  expect(jsonOf(first)).toEqual([1, 2]);
  expect(first.headers).toMatchObject({ "x-ms-item-type": "Raw", "x-ms-continuation": "2" });
  const last = await ask({ "x-ms-max-item-count": "2", "x-ms-continuation": "2" });
  expect(jsonOf(last)).toEqual([3]);
  expect(last.headers).not.toHaveProperty("x-ms-continuation");
  const text = body.query;
  expect(world.query.asked).toEqual([
    { text, pageSize: 2, continuation: undefined },
    { text, pageSize: 2, continuation: "2" },
  ]);
});

test("empty paging headers are none", async () => {
  const world = await createRestWorld();
  const headers = { "x-ms-max-item-count": "", "x-ms-continuation": "" };
  expect(jsonOf(await world.call("POST", query, { body, headers }))).toEqual([1, 2, 3]);
  expect(world.query.asked).toMatchObject([{ pageSize: undefined, continuation: undefined }]);
});

test.each(["0", "-1", "x", "1.5", "1e3", "99999999999"])(
  "a page of %s is refused",
  async (count) => {
    const { call } = await createRestWorld();
    const headers = { "x-ms-max-item-count": count };
    const response = await call("POST", query, { body, headers });
    expect(faceOf(response)).toBe("400 ArgumentInvalid argument.invalid");
  },
);

test.each([[{}], [{ query: 5 }], [{ Query: "SELECT" }]])(
  "a query like %j is refused",
  async (bad) => {
    const { call } = await createRestWorld();
    const response = await call("POST", query, { body: bad });
    expect(faceOf(response)).toBe("400 ArgumentInvalid argument.invalid");
  },
);

test("feedback is received, abandoned, received again and completed", async () => {
  const world = await createTlsWorld();
  await furnish(world);
  const path = "/messages/serviceBound/feedback";
  const receive = () => world.send("GET", `${path}?${version}`);
  const first = await receive();
  expect(first.headers).toMatchObject({
    "content-type": "application/vnd.microsoft.iothub.feedback.json; charset=utf-8",
    etag: '"lock-2"',
    "iothub-sequencenumber": "2",
    "iothub-enqueuedtime": "2025-01-01T00:00:00.000Z",
    "iothub-deliverycount": "1",
  });
  expect(JSON.parse(first.body)).toEqual([
    {
      originalMessageId: "m2",
      description: "Success",
      deviceGenerationId: "1",
      deviceId: "d",
      enqueuedTimeUtc: "2025-01-01T00:00:00.000Z",
      statusCode: "Success",
    },
  ]);
  const settle = async (method: string, rest: string) =>
    (await world.send(method, `${path}/${rest}?${version}`)).status;
  expect(await settle("POST", "lock-2/abandon")).toBe(204);
  expect((await receive()).headers.etag).toBe('"lock-3"');
  expect(await settle("DELETE", "lock-2")).toBe(412);
  expect(await settle("DELETE", "lock-3")).toBe(204);
  const none = await receive();
  expect([none.status, none.body]).toEqual([204, ""]);
});

test("feedback is rejected like it is completed", async () => {
  const world = await createTlsWorld();
  await furnish(world);
  const path = `/messages/servicebound/feedback/lock-1?${version}&reject`;
  expect((await world.send("DELETE", path)).status).toBe(204);
  const again = await world.send("DELETE", path);
  expect([again.status, again.headers["iothub-errorcode"]]).toEqual([412, "DeviceMessageLockLost"]);
});

test.each(absentRoutes.map((route) => [route.method, route.path, route.feature] as const))(
  "%s %s is answered that this hub has no %s",
  async (method, path, feature) => {
    const { call } = await createRestWorld();
    const response = await call(method, `${path.replaceAll(/[{}]/g, "")}?${version}`, { body: {} });
    expect(faceOf(response)).toBe("404 FeatureNotSupported route.feature_absent");
    expect(jsonOf(response)["Message"]).toBe(
      `ErrorCode:FeatureNotSupported;This hub has no ${feature}`,
    );
    const other = await call("TRACE", path.replaceAll(/[{}]/g, ""));
    expect(other.status).toBe(405);
    expect(other.headers["allow"]?.split(", ")).toContain(method);
  },
);
