import { expect, test } from "vitest";
import { unreachable } from "../src/node/failures.ts";
import { refused } from "../src/refusal.ts";

test.each([
  ["ENOTFOUND", "transport.dns"],
  ["EAI_AGAIN", "transport.dns"],
  ["ECONNREFUSED", "transport.refused"],
  ["CERT_HAS_EXPIRED", "transport.tls_expired"],
  ["CERT_NOT_YET_VALID", "transport.tls_not_yet_valid"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "transport.tls_name_mismatch"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "transport.tls_untrusted"],
  ["EPIPE", "service.unreachable"],
])("Node's %s is %s", (systemCode, code) => {
  const cause = Object.assign(new Error("as Node says"), { code: systemCode });
  const error = unreachable("https://myhub.azure-devices.net", cause);
  expect(error.code).toBe(code);
  expect(error.message).toContain("https://myhub.azure-devices.net");
});

const asked = { method: "GET", path: "/devices/d" };
const answer = (status: number, text: string, headers: Record<string, string> = {}) => ({
  status,
  text,
  header: (name: string) => headers[name],
});

// The shapes of Azure's error envelope: Azure IoT Hub docs, "error codes", and answers seen by users of its SDKs.
test.each([
  [
    "form A",
    404,
    '{"Message":"ErrorCode:DeviceNotFound;no such device","ExceptionMessage":"Tracking ID:t1-G:4-TimeStamp:04/19/2017 13:29:00"}',
    { code: "device.not_found", words: "no such device", number: undefined, trackingId: "t1-G:4" },
  ],
  [
    "form B",
    409,
    '{"errorCode":409301,"message":"exists","trackingId":"t2"}',
    { code: "module.already_exists", words: "exists", number: 409301, trackingId: "t2" },
  ],
  [
    "form C",
    404,
    '{"Message":"{\\"errorCode\\":404103,\\"trackingId\\":\\"t3\\",\\"message\\":\\"offline\\"}","ExceptionMessage":""}',
    { code: "device.not_online", words: "offline", number: 404103, trackingId: "t3" },
  ],
  [
    "a proxy's page",
    502,
    "<html>Bad gateway</html>",
    {
      code: "service.unavailable",
      words: "<html>Bad gateway</html>",
      number: undefined,
      trackingId: undefined,
    },
  ],
  [
    "nothing",
    401,
    "",
    { code: "service.unauthorized", words: "", number: undefined, trackingId: undefined },
  ],
])(
  "the hub's words and code are found in %s",
  (_, status, text, { code, words, number, trackingId }) => {
    const error = refused(asked, answer(status, text));
    expect(error.code).toBe(code);
    const said = words === "" ? "" : `: ${words}`;
    expect(error.message).toBe(`The hub answered GET /devices/d with ${status}${said}`);
    expect(error.cause).toMatchObject({ status, number, trackingId });
  },
);

test("a Hubwire hub's own code is taken, and one that is not in the catalogue is not", () => {
  const text = '{"Message":"ErrorCode:ArgumentInvalid;a key has a dot","ExceptionMessage":""}';
  const known = refused(asked, answer(400, text, { "hubwire-errorcode": "twin.bad_key" }));
  expect([known.code, known.message]).toEqual(["twin.bad_key", "a key has a dot"]);
  const unknown = refused(asked, answer(400, text, { "hubwire-errorcode": "not.in_catalog" }));
  expect(unknown.code).toBe("argument.invalid");
  const header = refused(asked, answer(404, "", { "iothub-errorcode": "DeviceNotFound" }));
  expect(header.code).toBe("device.not_found");
});
