import { amqpErrors } from "./amqp.ts";
import { caErrors } from "./ca.ts";
import { certificateErrors } from "./certificate.ts";
import { connectionStringErrors } from "./connection-string.ts";
import { credentialErrors } from "./credentials.ts";
import { deviceErrors } from "./device.ts";
import { deviceCallErrors } from "./device-calls.ts";
import { generalErrors } from "./general.ts";
import { hubErrors } from "./hub.ts";
import { mqttErrors } from "./mqtt.ts";
import { provisioningErrors } from "./provisioning.ts";
import { pkcs11Errors } from "./pkcs11.ts";
import { outboxErrors } from "./outbox.ts";
import { proxyErrors } from "./proxy.ts";
import { restErrors } from "./rest.ts";
import { queryErrors } from "./query.ts";
import { sasErrors } from "./sas.ts";
import { serviceErrors } from "./service.ts";
import { topicErrors } from "./topic.ts";
import { transportErrors } from "./transport.ts";
import { twinErrors } from "./twin.ts";
import { webSocketErrors } from "./websocket.ts";

/** Every error code Hubwire has, with what it means and what to do. The error reference is generated from it. */
export const catalog = {
  ...generalErrors,
  ...connectionStringErrors,
  ...sasErrors,
  ...mqttErrors,
  ...amqpErrors,
  ...topicErrors,
  ...twinErrors,
  ...transportErrors,
  ...proxyErrors,
  ...webSocketErrors,
  ...deviceErrors,
  ...credentialErrors,
  ...outboxErrors,
  ...deviceCallErrors,
  ...pkcs11Errors,
  ...certificateErrors,
  ...caErrors,
  ...provisioningErrors,
  ...hubErrors,
  ...serviceErrors,
  ...queryErrors,
  ...restErrors,
} as const;
