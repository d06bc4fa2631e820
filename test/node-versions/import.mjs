import * as device from "@hubwire/device";
import * as log from "@hubwire/log";
import * as protocol from "@hubwire/protocol";
import * as transport from "@hubwire/transport";
import { checkLibraries } from "./checks.mjs";

checkLibraries({ device, protocol, transport, log });
