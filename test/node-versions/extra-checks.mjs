// What the optional packages do where what they lead to is missing: that they load, their native parts too, on every Node they
// promise to run on.
import assert from "node:assert/strict";
import test from "node:test";

/** @param {{ websocket: any, pkcs11: any, keychain: any }} packages as this program got them */
export function checkExtras({ websocket, pkcs11, keychain }) {
  test("websocket: a transport of that name", () => {
    assert.equal(websocket.webSocket().kind, "websocket");
    assert.equal(websocket.auto().kind, "auto");
  });

  test("pkcs11: a module that is not there is told as such", async () => {
    const key = { library: "/no/such/module.so", tokenLabel: "t", pin: "1234", keyLabel: "k" };
    await assert.rejects(pkcs11.pkcs11Sign(key)("text"), { code: "pkcs11.library" });
  });

  test("keychain: a machine without one is told as such", async () => {
    process.env.DBUS_SESSION_BUS_ADDRESS = "unix:path=/no/such/bus";
    const secret = keychain.keychainSecret({ service: "hubwire-test", account: "d" });
    await assert.rejects(secret.read(), { code: "secret.keychain_unavailable" });
  });
}
