const keychain = require("@hubwire/keychain");
const pkcs11 = require("@hubwire/pkcs11");
const websocket = require("@hubwire/websocket");

void import("./extra-checks.mjs").then(({ checkExtras }) => {
  checkExtras({ websocket, pkcs11, keychain });
});
