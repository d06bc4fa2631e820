import { identityRoutes } from "./rest-identity-routes.ts";
import { messageRoutes } from "./rest-message-routes.ts";
import { routes } from "./rest-route.ts";
import { twinRoutes } from "./rest-twin-routes.ts";

export type { RestBodyKind, RestQueryName, RestRoute } from "./rest-route.ts";

/**
 * The service REST API as data: what is served, under which permission, and which shapes go in and out. Server, client,
 * OpenAPI document and reference page are made from it.
 * @see Azure IoT Hub REST API reference, service, api-version 2021-04-12
 */
export const restRoutes = routes([...identityRoutes, ...twinRoutes, ...messageRoutes]);

export type RestRouteName = (typeof restRoutes)[number]["name"];

/** Every api-version a service SDK or tool has been seen to send. */
export const acceptedApiVersions: readonly string[] = [
  "2018-06-30",
  "2019-10-01",
  "2020-03-01",
  "2020-03-13",
  "2020-05-31-preview",
  "2020-09-30",
  "2021-04-12",
  "2024-03-31",
];

/** Missing and unknown versions are answered with `request.api_version`. */
export const isAcceptedApiVersion = (version: string | undefined): boolean =>
  version !== undefined && acceptedApiVersions.includes(version.toLowerCase());
