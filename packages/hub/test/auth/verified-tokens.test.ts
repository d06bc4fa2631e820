import { createHmac } from "node:crypto";
import { buildSasToken } from "@hubwire/protocol";
import { VirtualClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import { createAuthenticator } from "../../src/domain/auth/index.ts";
import { VerifiedTokens } from "../../src/domain/auth/verified-tokens.ts";

const key = Buffer.alloc(32, 7).toString("base64");
const policy = {
  name: "registryRead",
  permissions: ["RegistryRead"] as const,
  primaryKey: key,
  secondaryKey: key,
};

async function createWorld() {
  const clock = new VirtualClock();
  const authenticator = createAuthenticator({
    identities: { find: async () => undefined },
    policies: [policy],
    clock,
    hostNames: ["hub.test"],
  });
  const token = await buildSasToken(
    {
      resource: "hub.test/devices",
      expiresAtS: clock.wallMs() / 1000 + 60,
      policyName: policy.name,
    },
    async (text) => createHmac("sha256", Buffer.alloc(32, 7)).update(text).digest("base64"),
  );
  return { clock, authenticator, token };
}

const codeOf = async (call: Promise<void>): Promise<string> =>
  call.then(
    () => "let in",
    (error: unknown) => (error as { code: string }).code,
  );

test("a token that was right once is still checked for permission, scope and time", async () => {
  const { clock, authenticator, token } = await createWorld();
  const ask = (permission: "RegistryRead" | "ServiceConnect", path: string[]) =>
    codeOf(authenticator.authorizeService(token, permission, path));
  expect(await ask("RegistryRead", ["devices", "d"])).toBe("let in");
  expect(await ask("RegistryRead", ["devices", "d"])).toBe("let in");
  expect(await ask("ServiceConnect", ["devices", "d"])).toBe("auth.policy_permission");
  expect(await ask("RegistryRead", ["twins", "d"])).toBe("auth.token_scope");
  await clock.advance((60 + 300) * 1_000 + 1);
  expect(await ask("RegistryRead", ["devices", "d"])).toBe("auth.token_expired");
});

test("a token that is one letter off is not the one that was right", async () => {
  const { authenticator, token } = await createWorld();
  const ask = (text: string) =>
    codeOf(authenticator.authorizeService(text, "RegistryRead", ["devices"]));
  expect(await ask(token)).toBe("let in");
  const later = token.replace(/se=(\d+)/, (_whole, se: string) => `se=${Number(se) + 1}`);
  expect(await ask(later)).toBe("auth.token_signature");
  expect(await ask(later)).toBe("auth.token_signature");
});

test("a thousand are remembered and the oldest goes first; long ones never stay", () => {
  const tokens = new VerifiedTokens();
  const parsed = { resource: "r" } as Parameters<VerifiedTokens["add"]>[1];
  for (let i = 0; i < 1_001; i++) tokens.add(`t${i}`, parsed);
  expect([tokens.get("t0"), tokens.get("t1"), tokens.get("t1000")]).toEqual([
    undefined,
    parsed,
    parsed,
  ]);
  tokens.add("x".repeat(1_025), parsed);
  expect(tokens.get("x".repeat(1_025))).toBeUndefined();
});
