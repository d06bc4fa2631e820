import { createHmac, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import vectors from "../../../../vectors/sas-token.json" with { type: "json" };
import {
  buildSasToken,
  decodeBase64Lenient,
  encodeUtf8,
  parseSasToken,
  sasCovers,
  sasCoversHub,
  sasResource,
  sasStringToSign,
  verifySasSignature,
} from "../../src/iothub/index.ts";
import { iotErrorOf, valueOrIotError } from "../expect-iot-error.ts";
import "../long-runs.ts";

const hmac = (key: Uint8Array, text: string): string =>
  createHmac("sha256", key).update(text, "utf8").digest("base64");
const signWith = (key: string) => async (text: string) => hmac(decodeBase64Lenient(key), text);
const token = (sr: string, rest = ""): string =>
  `SharedAccessSignature sr=${sr}&sig=QQ%3D%3D&se=1893456000${rest}`;

describe("golden values", () => {
  const { golden, nonCanonicalKey, textKey, groupKey } = vectors;
  test.each(golden.cases)("the MAC over $rawResource", ({ rawResource, signature }) => {
    const sig = encodeURIComponent(signature);
    const parsed = parseSasToken(
      `SharedAccessSignature sr=${rawResource}&sig=${sig}&se=${golden.expiresAtS}`,
    );
    expect(parsed.signature).toBe(signature);
    expect(hmac(decodeBase64Lenient(golden.key), sasStringToSign(parsed))).toBe(signature);
    expect(verifySasSignature(parsed, [golden.key], hmac)).toBe(true);
  });

  test("the connection guide's key, which is not canonical base64", async () => {
    expect(decodeBase64Lenient(nonCanonicalKey.key)).toHaveLength(nonCanonicalKey.keyBytes);
    const built = await buildSasToken(
      { resource: nonCanonicalKey.resource, expiresAtS: nonCanonicalKey.expiresAtS },
      signWith(nonCanonicalKey.key),
    );
    expect(parseSasToken(built).signature).toBe(nonCanonicalKey.signature);
  });

  test("Event Hubs tokens are signed with the key's text", () => {
    const text = `${textKey.rawResource}\n${textKey.expiresAtS}`;
    expect(hmac(encodeUtf8(textKey.keyText), text)).toBe(textKey.signature);
    expect(hmac(decodeBase64Lenient(textKey.keyText), text)).not.toBe(textKey.signature);
  });

  test("a device key derived from an enrolment group's", () => {
    expect(hmac(decodeBase64Lenient(groupKey.groupKey), groupKey.registrationId)).toBe(
      groupKey.deviceKey,
    );
  });

  test.each(vectors.built)("a token as SDKs write it: $token", async ({ scope, key, token }) => {
    expect(await buildSasToken(scope, signWith(key))).toBe(token);
  });
});

describe("tokens of every producer", () => {
  test.each(vectors.producers)("$name", (producer) => {
    const parsed = parseSasToken(producer.token);
    expect(parsed).toMatchObject({
      rawResource: producer.rawResource,
      resource: producer.resource,
      signature: producer.signature,
      expiresAtS: producer.expiresAtS,
    });
    expect(parsed.policyName).toBe(producer.policyName);
    expect(verifySasSignature(parsed, ["", producer.key], hmac)).toBe(true);
    expect(verifySasSignature(parsed, [producer.key, "b3RoZXI="], hmac)).toBe(true);
    expect(verifySasSignature(parsed, ["b3RoZXI="], hmac)).toBe(false);
    if (producer.covers !== undefined) {
      const hostNames = ["myhub.example.net", "myiothub.azure-devices.net"];
      expect(sasCovers(parsed, { hostNames, ...producer.covers })).toBe(true);
      expect(sasCovers(parsed, { hostNames: ["other"], ...producer.covers })).toBe(false);
      expect(sasCovers(parsed, { hostNames, deviceId: `${producer.covers.deviceId}x` })).toBe(
        false,
      );
    }
  });
});

describe("building", () => {
  test("milliseconds by mistake are named, with the way out", async () => {
    const mistake = buildSasToken(
      { resource: "hub/devices/d", expiresAtS: 1_767_225_600_000 },
      async () => "",
    );
    await expect(mistake).rejects.toMatchObject({
      code: "sas.expiry_not_seconds",
      retryable: false,
    });
  });

  test.each([1.5, -1, Number.NaN, Infinity])("an expiry of %s is refused", async (expiresAtS) => {
    const mistake = buildSasToken({ resource: "h", expiresAtS }, async () => "");
    await expect(mistake).rejects.toMatchObject({ code: "sas.expiry_not_seconds" });
  });

  test("an empty resource is refused", async () => {
    const mistake = buildSasToken({ resource: "", expiresAtS: 1 }, async () => "");
    await expect(mistake).rejects.toMatchObject({ code: "sas.empty_resource" });
  });

  test("the signer's own failure reaches the caller", async () => {
    const broken = buildSasToken({ resource: "h", expiresAtS: 1 }, async () => {
      throw new Error("the chip is gone");
    });
    await expect(broken).rejects.toThrow("the chip is gone");
  });

  test("what is built for any identity is parsed, verified and covers it", async () => {
    const id = fc.stringMatching(/^[A-Za-z0-9\-.+%_#*?!(),:=@$']{1,20}$/);
    const key = randomBytes(32).toString("base64");
    await fc.assert(
      fc.asyncProperty(id, fc.option(id, { nil: undefined }), async (deviceId, moduleId) => {
        const identity = { deviceId, moduleId };
        const resource = sasResource("hub.example.net", identity);
        const text = await buildSasToken({ resource, expiresAtS: 2e9 }, signWith(key));
        const parsed = parseSasToken(text);
        expect(parsed.resource).toBe(resource);
        expect(verifySasSignature(parsed, [key], hmac)).toBe(true);
        expect(sasCovers(parsed, { hostNames: ["hub.example.net"], ...identity })).toBe(true);
      }),
    );
  });
});

describe("parsing", () => {
  test.each([
    ["", "empty"],
    ["Bearer abc", "another scheme"],
    ["SharedAccessSignature", "nothing behind the prefix"],
    ["sharedaccesssignature sr=a&sig=b&se=1", "prefix in another case"],
    ["SharedAccessSignature  sr=a&sig=b&se=1", "two spaces: the first field is named ' sr'"],
    ["SharedAccessSignature sig=b&se=1", "no sr"],
    ["SharedAccessSignature sr=&sig=b&se=1", "empty sr"],
    ["SharedAccessSignature sr=a&se=1", "no sig"],
    ["SharedAccessSignature sr=a&sig=&se=1", "empty sig"],
    ["SharedAccessSignature sr=a&sig=%&se=1", "sig not percent-encoded"],
    ["SharedAccessSignature sr=a&sig=b", "no se"],
    ["SharedAccessSignature sr=a&sig=b&se=1.5", "se with a fraction"],
    ["SharedAccessSignature sr=a&sig=b&se=-1", "negative se"],
    ["SharedAccessSignature sr=a&sig=b&se=1e9", "se with an exponent"],
    ["SharedAccessSignature sr=a&sig=b&se=1234567890123456", "se of 16 digits"],
    ["SharedAccessSignature sr=a&sr=b&sig=b&se=1", "sr twice"],
    ["SharedAccessSignature sr=a&sig=b&se=1&skn", "skn without value"],
    [`SharedAccessSignature sr=${"a".repeat(9000)}&sig=b&se=1`, "absurdly long"],
  ])("%s is refused (%s)", (text) => {
    const error = iotErrorOf(() => parseSasToken(text), "sas.malformed");
    expect(error.message).not.toContain("sig=");
  });

  test("unknown fields are ignored", () => {
    expect(parseSasToken(token("a", "&x=1&y")).rawResource).toBe("a");
  });

  test("any text is parsed or refused with an IotError", () => {
    const field = fc.constantFrom("sr=", "sig=", "se=", "skn=", "&", "%", "%2F", "1", "a", "=");
    const text = fc.oneof(
      fc.array(field, { maxLength: 12 }).map((f) => `SharedAccessSignature ${f.join("")}`),
      fc.string({ unit: "binary" }),
    );
    fc.assert(fc.property(text, (any) => void valueOrIotError(() => parseSasToken(any))));
  });
});

describe("verifying", () => {
  const key = randomBytes(32).toString("base64");
  const signed = async (): Promise<string> =>
    buildSasToken({ resource: "h/devices/d", expiresAtS: 2e9 }, signWith(key));

  test("one changed character of resource, expiry or signature is refused", async () => {
    const text = await signed();
    const start = "SharedAccessSignature sr=".length;
    for (let i = start; i < text.length; i++) {
      const letter = text.charAt(i);
      if ("&=".includes(letter)) continue;
      const changed = text.slice(0, i) + (letter === "7" ? "8" : "7") + text.slice(i + 1);
      const parsed = valueOrIotError(() => parseSasToken(changed));
      if (parsed instanceof Error) continue;
      expect(verifySasSignature(parsed, [key], hmac)).toBe(false);
    }
  });

  test("a right signature with something behind it is refused", async () => {
    const parsed = parseSasToken(await signed());
    for (const more of ["A", "=", "\u0000"]) {
      const longer = { ...parsed, signature: parsed.signature + more };
      expect(verifySasSignature(longer, [key], hmac)).toBe(false);
    }
    const shorter = { ...parsed, signature: parsed.signature.slice(0, -1) };
    expect(verifySasSignature(shorter, [key], hmac)).toBe(false);
  });

  test("hex case of the resource matters", async () => {
    const lower = (await signed()).replaceAll("%2F", "%2f");
    expect(verifySasSignature(parseSasToken(lower), [key], hmac)).toBe(false);
  });

  test("a token signed with an empty key is never accepted", async () => {
    const forged = await buildSasToken({ resource: "h", expiresAtS: 2e9 }, async (text) =>
      hmac(new Uint8Array(0), text),
    );
    expect(verifySasSignature(parseSasToken(forged), ["", "=", "!"], hmac)).toBe(false);
    expect(verifySasSignature(parseSasToken(forged), [], hmac)).toBe(false);
  });

  test("every key is tried even when the first fits, so that time tells nothing", async () => {
    let calls = 0;
    const counting = (bytes: Uint8Array, text: string): string => (calls++, hmac(bytes, text));
    expect(verifySasSignature(parseSasToken(await signed()), [key, "b3RoZXI="], counting)).toBe(
      true,
    );
    expect(calls).toBe(2);
  });

  test("the same key given twice is still accepted", async () => {
    expect(verifySasSignature(parseSasToken(await signed()), [key, key], hmac)).toBe(true);
  });
});

describe("scope", () => {
  const hostNames = ["hub.example.net", "localhost"];
  const dev1 = { hostNames, deviceId: "dev1" };
  const mod1 = { hostNames, deviceId: "dev1", moduleId: "mod1" };
  const covers = (sr: string, target: typeof dev1): boolean =>
    sasCovers(parseSasToken(token(sr)), target);

  test.each([
    ["hub.example.net", true, true],
    ["hub.example.net%2Fdevices", true, true],
    ["hub.example.net%2Fdevices%2Fdev1", true, true],
    ["hub.example.net%2Fdevices%2Fdev1%2F", true, true],
    ["hub.example.net%2Fdevices%2Fdev1%2F%2F", false, false],
    ["hub.example.net%2Fdevices%2Fdev1%2Fmodules", false, true],
    ["hub.example.net%2Fdevices%2Fdev1%2Fmodules%2Fmod1", false, true],
    ["hub.example.net%2Fdevices%2Fdev1%2Fmodules%2Fmod", false, false],
    ["hub.example.net%2Fdevices%2Fdev", false, false],
    ["hub.example.net%2Fdevices%2Fdev11", false, false],
    ["hub.example.net%2Fdevices%2FDev1", false, false],
    ["hub.example.net%2Fdevices%2Fdev1%2Fmessages", false, false],
    ["hub.example.net%2Fdev", false, false],
    ["hub.example.net%2Ftwins%2Fdev1", false, false],
    ["hub.example.net%2Fdevices%2F%2Fdev1", false, false],
    ["hub.example.net%252Fdevices%252Fdev1", false, false],
    ["hub.example.ne", false, false],
    ["%2Fdevices%2Fdev1", false, false],
    ["HUB.EXAMPLE.NET%2FDevices%2Fdev1", true, true],
    ["localhost%3A8884%2Fdevices%2Fdev1", true, true],
    ["localhost:8884/devices/dev1", true, true],
    ["hub.example.net%3A8883", true, true],
    ["hub.example.net%3Aabc", false, false],
    ["hub.example.net/devices/dev1/api-version=2016-11-14", true, true],
    ["hub.example.net/devices/%", false, false],
  ])("%s covers the device: %s, its module: %s", (sr, device, module) => {
    expect(covers(sr, dev1)).toBe(device);
    expect(covers(sr, mod1)).toBe(module);
  });

  test("a name accepted with a port matches that port only", () => {
    const hub = { hostNames: ["localhost:8884"], deviceId: "dev1" };
    expect(covers("localhost%3A8884%2Fdevices%2Fdev1", hub)).toBe(true);
    expect(covers("localhost%3A8885%2Fdevices%2Fdev1", hub)).toBe(false);
    expect(covers("localhost%2Fdevices%2Fdev1", hub)).toBe(false);
  });

  test("an encoded slash inside an id is no path separator", () => {
    expect(covers("hub.example.net%2Fdevices%2Fdev1%252Fmodules%252Fmod1", mod1)).toBe(false);
  });

  test.each([
    ["hub.example.net", [], true],
    ["hub.example.net", ["twins", "dev1"], true],
    ["hub.example.net%2Ftwins%2Fdev1", ["twins", "dev1", "methods"], true],
    ["hub.example.net%2Ftwins%2Fdev1", ["twins", "dev2"], false],
    ["hub.example.net%2Ftwins%2Fdev1", [], false],
    ["other.example.net", [], false],
  ])("%s covers the hub's path %j: %s", (sr, path, good) => {
    expect(sasCoversHub(parseSasToken(token(sr)), hostNames, path)).toBe(good);
  });
});
