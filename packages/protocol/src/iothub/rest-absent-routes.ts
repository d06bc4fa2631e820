/**
 * What Azure serves and this hub does not. Each address is known, so that a caller is told that the feature is missing
 * rather than that its address is wrong.
 */
export type AbsentRoute = {
  readonly method: "GET" | "PUT" | "PATCH" | "POST" | "DELETE";
  readonly path: string;
  readonly feature: AbsentFeature;
};

export type AbsentFeature =
  | "configurations"
  | "jobs"
  | "import and export"
  | "digital twins"
  | "device HTTP"
  | "file upload";

const of = (feature: AbsentFeature, ...calls: readonly string[]): AbsentRoute[] =>
  calls.map((call) => {
    const [method, path = ""] = call.split(" ");
    return { method: method as AbsentRoute["method"], path, feature };
  });

/** @see Azure IoT Hub REST API reference, service and device */
export const absentRoutes: readonly AbsentRoute[] = [
  ...of(
    "configurations",
    "GET /configurations",
    "GET /configurations/{configurationId}",
    "PUT /configurations/{configurationId}",
    "DELETE /configurations/{configurationId}",
    "POST /configurations/testqueries",
    "POST /devices/{deviceId}/applyconfigurationcontent",
  ),
  ...of(
    "jobs",
    "GET /jobs/v2/query",
    "GET /jobs/v2/{jobId}",
    "PUT /jobs/v2/{jobId}",
    "POST /jobs/v2/{jobId}/cancel",
  ),
  ...of(
    "import and export",
    "POST /jobs/create",
    "GET /jobs",
    "GET /jobs/{jobId}",
    "DELETE /jobs/{jobId}",
  ),
  ...of(
    "digital twins",
    "GET /digitaltwins/{deviceId}",
    "PATCH /digitaltwins/{deviceId}",
    "POST /digitaltwins/{deviceId}/commands/{command}",
    "POST /digitaltwins/{deviceId}/components/{component}/commands/{command}",
  ),
  ...of(
    "device HTTP",
    "POST /devices/{deviceId}/messages/events",
    "POST /devices/{deviceId}/modules/{moduleId}/messages/events",
    "GET /devices/{deviceId}/messages/devicebound",
    "DELETE /devices/{deviceId}/messages/devicebound/{lockToken}",
    "POST /devices/{deviceId}/messages/devicebound/{lockToken}/abandon",
  ),
  ...of(
    "file upload",
    "POST /devices/{deviceId}/files",
    "POST /devices/{deviceId}/files/notifications",
    "POST /devices/{deviceId}/files/notifications/{correlationId}",
    "GET /messages/servicebound/filenotifications",
    "DELETE /messages/servicebound/filenotifications/{lockToken}",
    "POST /messages/servicebound/filenotifications/{lockToken}/abandon",
  ),
];
