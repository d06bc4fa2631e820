import { tmpdir } from "node:os";
import { join } from "node:path";
import { keychainSecret } from "@hubwire/keychain";
import { expect, test } from "vitest";

test("a machine without a keychain is told as such", async () => {
  process.env["DBUS_SESSION_BUS_ADDRESS"] = `unix:path=${join(tmpdir(), "no-bus-is-here")}`;
  const secret = keychainSecret({ service: "hubwire-test", account: "dev1" });
  await expect(secret.read()).rejects.toMatchObject({
    code: "secret.keychain_unavailable",
    retryable: true,
  });
});
