import { IotError } from "@hubwire/protocol";
import { describe as group, expect, test } from "vitest";
import type { ServicePermission } from "../../src/domain/services.ts";
import vectors from "../../../../vectors/hub-auth.json" with { type: "json" };
import { attempt, authenticator, nowS, outcome, tokenOf } from "./fixtures.ts";
import type { TokenCase } from "./fixtures.ts";

group("device tokens", () => {
  test.each(vectors.deviceTokens)("$name", async (vector) => {
    const password = await tokenOf(vector);
    const clientId = vector.clientId ?? "dev1";
    const username = vector.username ?? `hub.example.net/${clientId}/?api-version=2021-04-12`;
    const result = await outcome(
      authenticator().authenticateDevice(attempt({ clientId, username, password })),
    );
    if (vector.refused !== undefined) return expect(result).toBe(vector.refused);
    expect(result).toMatchObject({
      authMethod: `{"scope":"${vector.scope}","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}`,
      generationId: "638000000000000001",
      expiresAtMs: (nowS + vector.seInS + 300) * 1000,
      warning: undefined,
    });
  });

  test.each([
    [0, -1, "auth.token_expired"],
    [0, 0, undefined],
    [300, -300, undefined],
    [300, -301, "auth.token_expired"],
  ])("tolerance %d s, expiry %d s from now", async (clockToleranceS, seInS, refused) => {
    const clock = { wallMs: () => nowS * 1000 };
    const password = await tokenOf({
      name: "",
      sr: "hub.example.net%2Fdevices%2Fdev1",
      signedBy: "primary",
      seInS,
    });
    const result = await outcome(
      authenticator({ clockToleranceS, clock }).authenticateDevice(attempt({ password })),
    );
    if (refused === undefined) expect(result).toHaveProperty("ref");
    else expect(result).toBe(refused);
  });

  test("a refusal for a wrong clock tells both times and no secret", async () => {
    const sr = "hub.example.net%2Fdevices%2Fdev1";
    const password = await tokenOf({ name: "", sr, signedBy: "primary", seInS: -3600 });
    await expect(authenticator().authenticateDevice(attempt({ password }))).rejects.toMatchObject({
      code: "auth.token_expired",
      message: expect.stringMatching(
        /expired at 20.*Z, 3600 s before the hub's time 20.*Z \(tolerance 300 s\)/,
      ),
    });
  });

  test("a hub without names of its own takes the name it is called by, and the token must be for it", async () => {
    const any = authenticator({ hostNames: [] });
    const username = "my.hub/dev1/?api-version=2021-04-12";
    const good = await tokenOf({
      name: "",
      sr: "my.hub%2Fdevices%2Fdev1",
      signedBy: "primary",
      seInS: 60,
    });
    const other = await tokenOf({
      name: "",
      sr: "hub.example.net%2Fdevices%2Fdev1",
      signedBy: "primary",
      seInS: 60,
    });
    expect(
      await outcome(any.authenticateDevice(attempt({ username, password: good }))),
    ).toHaveProperty("ref");
    expect(await outcome(any.authenticateDevice(attempt({ username, password: other })))).toBe(
      "auth.token_scope",
    );
  });

  test("the model id of the user name is handed on", async () => {
    const password = await tokenOf({
      name: "",
      sr: "hub.example.net",
      signedBy: "policy",
      seInS: 60,
      skn: "device",
    });
    const username = "hub.example.net/dev1/?api-version=2021-04-12&model-id=dtmi%3Aa%3B1";
    expect(await authenticator().authenticateDevice(attempt({ username, password }))).toMatchObject(
      {
        modelId: "dtmi:a;1",
        ref: { deviceId: "dev1", moduleId: undefined },
      },
    );
  });
});

group("who is who", () => {
  test.each(vectors.claims)("$name", async ({ clientId, username, refused }) => {
    const sent = { clientId, username: username ?? undefined, password: "SharedAccessSignature x" };
    expect(await outcome(authenticator().authenticateDevice(attempt(sent)))).toBe(refused);
  });
});

group("services", () => {
  test.each(vectors.serviceTokens)("$name", async (vector) => {
    const header =
      vector.header === null ? undefined : (vector.header ?? (await tokenOf(vector as TokenCase)));
    const permission = vector.permission as ServicePermission;
    const result = await outcome(authenticator().authorizeService(header, permission));
    expect(result).toBe(vector.refused);
  });
});

test.each([
  [{ clockToleranceS: -1 }],
  [{ clockToleranceS: Number.NaN }],
  [{ expiryGraceS: 601 }],
  [{ expiryGraceS: -1 }],
])("options out of range are refused: %o", (options) => {
  expect(() => authenticator(options)).toThrow(IotError);
});
