import * as device from "@hubwire/device";
import * as certificates from "@hubwire/device/certificates";
import * as opentelemetry from "@hubwire/device/opentelemetry";
import * as secrets from "@hubwire/device/secrets";
import * as testing from "@hubwire/device/testing";
import * as log from "@hubwire/log";
import * as protocol from "@hubwire/protocol";
import * as transport from "@hubwire/transport";
import { checkLibraries } from "./checks.mjs";
import { checkOutbox } from "./outbox-checks.mjs";
import { checkSubpaths } from "./subpath-checks.mjs";

checkLibraries({ device, protocol, transport, log });
checkOutbox(device);
checkSubpaths({ device, secrets, certificates, testing, opentelemetry });
