import { invalid } from "../calls/errors.ts";
import { numberOptions } from "./bounds.ts";

const known: ReadonlySet<string> = new Set([
  ...Object.keys(numberOptions),
  "connectionString",
  "credentials",
  "provisioning",
  "certificate",
  "hostName",
  "clientId",
  "protocol",
  "cleanSession",
  "username",
  "password",
  "reconnectDelay",
  "retry",
  "qos",
  "outbox",
  "messageIds",
  "apiVersion",
  "modelId",
  "tokenRenewBeforeS",
  "transport",
  "proxy",
  "ca",
  "pins",
  "waitForConnection",
  "failFast",
  "rateLimit",
  "dailyMessagesMax",
  "whenSpent",
  "onMessage",
  "methods",
  "unknownMethod",
  "messageTimeoutMs",
  "confirmDesired",
  "onStatus",
  "onError",
  "signal",
  "clock",
  "openStream",
  "random",
  "networkSignature",
]);

/** The connection guide's names, and what people try: the name here, and what else is different. */
const elsewhere: Readonly<Record<string, string>> = {
  client_id: "clientId",
  hostname: "hostName",
  keepalive: "keepAliveS",
  keepAlive: "keepAliveS",
  clean_session: "cleanSession",
  clean: "cleanSession",
  reconnect_delay: "reconnectDelay, { minMs, maxMs } in milliseconds",
  max_inflight_messages: "maxInflight",
  maxInflightMessages: "maxInflight",
  retry_interval: "retryIntervalMs, in milliseconds",
  retryInterval: "retryIntervalMs, in milliseconds",
  rejectUnauthorized: "ca, to trust one more authority: server certificates are always validated",
  will: "nothing: IoT Hub publishes a will as telemetry, send a message instead",
};

/** A misspelt option that is silently ignored is found in production. @throws IotError `argument.invalid` */
export function checkOptionNames(options: object): void {
  for (const name of Object.keys(options)) {
    if (known.has(name)) continue;
    const meant = Object.hasOwn(elsewhere, name) ? elsewhere[name] : undefined;
    const similar = [...known].find((one) => one.toLowerCase() === name.toLowerCase());
    const hint = meant ?? similar;
    throw invalid(`There is no option ${name}${hint === undefined ? "" : `; use ${hint}`}`);
  }
}
