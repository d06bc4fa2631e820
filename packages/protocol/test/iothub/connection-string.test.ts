import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import vectors from "../../../../vectors/connection-string.json" with { type: "json" };
import {
  formatDeviceConnectionString,
  formatServiceConnectionString,
  parseDeviceConnectionString,
  parseServiceConnectionString,
} from "../../src/iothub/index.ts";
import type { DeviceConnectionString } from "../../src/iothub/index.ts";
import { iotErrorOf, valueOrIotError } from "../expect-iot-error.ts";
import "../long-runs.ts";

describe("a device connection string", () => {
  test.each(vectors.device)("is read: $name", ({ text, parsed, canonical }) => {
    expect(parseDeviceConnectionString(text)).toEqual(parsed);
    if (canonical) {
      expect(formatDeviceConnectionString(parsed as DeviceConnectionString)).toBe(text);
    }
  });

  test.each(vectors.deviceErrors)("is refused precisely: $name", ({ text, code }) => {
    iotErrorOf(() => parseDeviceConnectionString(text), code);
  });
});

describe("a service connection string", () => {
  test.each(vectors.service)("is read: $name", ({ text, parsed }) => {
    expect(parseServiceConnectionString(text)).toEqual(parsed);
    expect(formatServiceConnectionString(parsed)).toBe(text);
  });

  test.each(vectors.serviceErrors)("is refused precisely: $name", ({ text, code }) => {
    iotErrorOf(() => parseServiceConnectionString(text), code);
  });
});

test("a name in the wrong case is told its right spelling", () => {
  const error = iotErrorOf(() => parseDeviceConnectionString("HostName=h;deviceid=d;x509=true"));
  expect(error.message).toContain("write DeviceId");
});

test("any text is parsed or refused with an IotError, and the refusal never shows the key", () => {
  const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
  const piece = fc.constantFrom(
    "HostName=h",
    "DeviceId=d",
    "ModuleId=m",
    `SharedAccessKey=${secret}`,
    `SharedAccessKey=${secret};${secret}`,
    `sharedaccesskey=${secret}`,
    `SharedAccessKey ${secret}`,
    `${secret}=x`,
    `SharedAccessKey=${secret}\u0000`,
    `SharedAccessSignature=SharedAccessSignature sr=a&sig=${secret}`,
    `SharedAccessSignature=${secret}`,
    "SharedAccessKeyName=p",
    "x509=true",
    "x509=maybe",
    "GatewayHostName=g",
    "=",
    "",
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 6 }).map((parts) => parts.join(";")),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(text, (any) => {
      for (const parse of [parseDeviceConnectionString, parseServiceConnectionString]) {
        const result = valueOrIotError(() => parse(any));
        if (result instanceof Error && !any.includes(`${secret}=x`)) {
          expect(result.message).not.toContain(secret);
        }
      }
    }),
  );
});
