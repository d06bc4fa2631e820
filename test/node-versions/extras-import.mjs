import * as keychain from "@hubwire/keychain";
import * as pkcs11 from "@hubwire/pkcs11";
import * as websocket from "@hubwire/websocket";
import { checkExtras } from "./extra-checks.mjs";

checkExtras({ websocket, pkcs11, keychain });
