import type { ErrorForm } from "./error-envelope.ts";
import type { Permission } from "./policies.ts";

/** What a request or answer body is; `restSchemas` describes each. `none`: no body. */
export type RestBodyKind =
  | "none"
  | "device"
  | "devices"
  | "bulk"
  | "bulkResult"
  | "module"
  | "modules"
  | "twin"
  | "query"
  | "queryResult"
  | "methodCall"
  | "methodResult"
  | "deviceStatistics"
  | "serviceStatistics"
  | "purgeResult"
  | "feedback";

export type RestRoute = {
  readonly name: string;
  readonly method: "GET" | "PUT" | "PATCH" | "POST" | "DELETE";
  /** In lower case. `{deviceId}` and the like match one segment verbatim; other segments ignore case. */
  readonly path: string;
  readonly permission: Permission;
  readonly request: RestBodyKind;
  readonly response: RestBodyKind;
  /** HTTP status when all went well. */
  readonly status: 200 | 204;
  /** One or two sentences for people. */
  readonly summary: string;
  /**
   * - `update`: without If-Match the call creates, with it it updates
   * - `required`: without it the call is refused with 412
   * - `optional`: without it any etag will do
   */
  readonly ifMatch?: "update" | "required" | "optional";
  /** Members of the query beside `api-version`. */
  readonly query?: readonly RestQueryName[];
  /** Takes `x-ms-max-item-count` and `x-ms-continuation`, and answers with the latter unless the page is the last. */
  readonly paged?: true;
  /** How errors look once the caller is let in; default A. */
  readonly errorForm?: ErrorForm;
};

export type RestQueryName = "top" | "reject";

/** Keeps the literal names of a table while checking its rows. */
export const routes = <const T extends readonly RestRoute[]>(table: T): T => table;
