import { connectionStringErrors } from "./connection-string.ts";
import { deviceErrors } from "./device.ts";
import { generalErrors } from "./general.ts";
import { hubErrors } from "./hub.ts";
import { mqttErrors } from "./mqtt.ts";
import { provisioningErrors } from "./provisioning.ts";
import { sasErrors } from "./sas.ts";
import { serviceErrors } from "./service.ts";
import { topicErrors } from "./topic.ts";
import { transportErrors } from "./transport.ts";
import { twinErrors } from "./twin.ts";

/** Every error code Hubwire has, with what it means and what to do. The error reference is generated from it. */
export const catalog = {
  ...generalErrors,
  ...connectionStringErrors,
  ...sasErrors,
  ...mqttErrors,
  ...topicErrors,
  ...twinErrors,
  ...transportErrors,
  ...deviceErrors,
  ...provisioningErrors,
  ...hubErrors,
  ...serviceErrors,
} as const;
