import type { Permission } from "./policies.ts";

/** The service REST API as data: what is served, under which permission, and which shapes go in and out. */

/** What a request or answer body is. `none`: no body. */
export type RestBodyKind =
  | "none"
  | "device"
  | "devices"
  | "module"
  | "modules"
  | "twin"
  | "methodCall"
  | "methodResult"
  | "deviceStatistics"
  | "serviceStatistics"
  | "purgeResult";

export type RestRoute = {
  readonly name: string;
  readonly method: "GET" | "PUT" | "PATCH" | "POST" | "DELETE";
  /** `{deviceId}` and `{moduleId}` match one segment; other segments ignore case. */
  readonly path: string;
  readonly permission: Permission;
  readonly request: RestBodyKind;
  readonly response: RestBodyKind;
  /** HTTP status when all went well. */
  readonly status: 200 | 204;
};

const routes = <const T extends readonly RestRoute[]>(table: T): T => table;

/** @see Azure IoT Hub REST API reference, service, api-version 2021-04-12 */
export const restRoutes = routes([
  {
    name: "devices.list",
    method: "GET",
    path: "/devices",
    permission: "RegistryRead",
    request: "none",
    response: "devices",
    status: 200,
  },
  {
    name: "device.get",
    method: "GET",
    path: "/devices/{deviceId}",
    permission: "RegistryRead",
    request: "none",
    response: "device",
    status: 200,
  },
  {
    name: "device.put",
    method: "PUT",
    path: "/devices/{deviceId}",
    permission: "RegistryWrite",
    request: "device",
    response: "device",
    status: 200,
  },
  {
    name: "device.delete",
    method: "DELETE",
    path: "/devices/{deviceId}",
    permission: "RegistryWrite",
    request: "none",
    response: "none",
    status: 204,
  },
  {
    name: "commands.purge",
    method: "DELETE",
    path: "/devices/{deviceId}/commands",
    permission: "ServiceConnect",
    request: "none",
    response: "purgeResult",
    status: 200,
  },
  {
    name: "modules.list",
    method: "GET",
    path: "/devices/{deviceId}/modules",
    permission: "RegistryRead",
    request: "none",
    response: "modules",
    status: 200,
  },
  {
    name: "module.get",
    method: "GET",
    path: "/devices/{deviceId}/modules/{moduleId}",
    permission: "RegistryRead",
    request: "none",
    response: "module",
    status: 200,
  },
  {
    name: "module.put",
    method: "PUT",
    path: "/devices/{deviceId}/modules/{moduleId}",
    permission: "RegistryWrite",
    request: "module",
    response: "module",
    status: 200,
  },
  {
    name: "module.delete",
    method: "DELETE",
    path: "/devices/{deviceId}/modules/{moduleId}",
    permission: "RegistryWrite",
    request: "none",
    response: "none",
    status: 204,
  },
  {
    name: "twin.get",
    method: "GET",
    path: "/twins/{deviceId}",
    permission: "ServiceConnect",
    request: "none",
    response: "twin",
    status: 200,
  },
  {
    name: "twin.patch",
    method: "PATCH",
    path: "/twins/{deviceId}",
    permission: "ServiceConnect",
    request: "twin",
    response: "twin",
    status: 200,
  },
  {
    name: "twin.put",
    method: "PUT",
    path: "/twins/{deviceId}",
    permission: "ServiceConnect",
    request: "twin",
    response: "twin",
    status: 200,
  },
  {
    name: "moduleTwin.get",
    method: "GET",
    path: "/twins/{deviceId}/modules/{moduleId}",
    permission: "ServiceConnect",
    request: "none",
    response: "twin",
    status: 200,
  },
  {
    name: "moduleTwin.patch",
    method: "PATCH",
    path: "/twins/{deviceId}/modules/{moduleId}",
    permission: "ServiceConnect",
    request: "twin",
    response: "twin",
    status: 200,
  },
  {
    name: "moduleTwin.put",
    method: "PUT",
    path: "/twins/{deviceId}/modules/{moduleId}",
    permission: "ServiceConnect",
    request: "twin",
    response: "twin",
    status: 200,
  },
  {
    name: "method.invoke",
    method: "POST",
    path: "/twins/{deviceId}/methods",
    permission: "ServiceConnect",
    request: "methodCall",
    response: "methodResult",
    status: 200,
  },
  {
    name: "moduleMethod.invoke",
    method: "POST",
    path: "/twins/{deviceId}/modules/{moduleId}/methods",
    permission: "ServiceConnect",
    request: "methodCall",
    response: "methodResult",
    status: 200,
  },
  {
    name: "statistics.devices",
    method: "GET",
    path: "/statistics/devices",
    permission: "RegistryRead",
    request: "none",
    response: "deviceStatistics",
    status: 200,
  },
  {
    name: "statistics.service",
    method: "GET",
    path: "/statistics/service",
    permission: "ServiceConnect",
    request: "none",
    response: "serviceStatistics",
    status: 200,
  },
]);

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
