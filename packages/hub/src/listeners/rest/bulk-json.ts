import { describe, IotError } from "@hubwire/protocol";
import type { JsonObject } from "@hubwire/protocol";
import type { BulkItem, BulkMode, BulkProblem } from "../../domain/services.ts";
import { bareEtag } from "./etag.ts";
import { parseIdentityWrite } from "./identity-json.ts";
import { member, requireObject, textMember } from "./json-body.ts";

/** Not documented: what an element without `importMode` asks for. It is the first of the service SDK's modes. */
const modeDefault = "create";

const modes: ReadonlySet<string> = new Set<BulkMode>([
  "create",
  "update",
  "updateifmatchetag",
  "createorupdate",
  "createorupdateifmatchetag",
  "delete",
  "deleteifmatchetag",
  "updatetwin",
  "updatetwinifmatchetag",
]);

const isMode = (text: string): text is BulkMode => modes.has(text);

/**
 * Reads the array of `POST /devices` (Azure's ExportImportDevice). Modes are compared without case, as SDKs differ.
 * @throws IotError `argument.invalid`: nothing of it is done then
 */
export function parseBulk(value: unknown): BulkItem[] {
  if (!Array.isArray(value)) throw new IotError("argument.invalid", "The body must be an array");
  return value.map((element: unknown) => parseItem(requireObject(element, "Each element")));
}

function parseItem(body: JsonObject): BulkItem {
  const deviceId = textMember(body, "id", "deviceId");
  if (deviceId === undefined) throw new IotError("argument.invalid", "id is missing");
  const moduleId = textMember(body, "moduleId");
  const operation = textMember(body, "importMode") ?? modeDefault;
  const mode = operation.toLowerCase();
  if (!isMode(mode)) {
    throw new IotError("argument.invalid", `importMode is one of ${[...modes].join(", ")}`);
  }
  return {
    mode,
    operation,
    write: parseIdentityWrite(body, deviceId, moduleId === "" ? undefined : moduleId),
    etag: etagMember(body, "eTag", "etag", "ETag"),
    twinEtag: etagMember(body, "twinETag", "twinEtag", "twinetag"),
    twin: parseTwin(body),
  };
}

function etagMember(body: JsonObject, ...names: string[]): string | undefined {
  const text = textMember(body, ...names);
  return text === undefined ? undefined : bareEtag(text);
}

function parseTwin(body: JsonObject): Record<string, unknown> | undefined {
  const tags = member(body, "tags");
  const properties = requireObject(member(body, "properties") ?? {}, "properties");
  const desired = member(properties, "desired");
  if (tags === undefined && desired === undefined) return undefined;
  return {
    ...(tags === undefined ? {} : { tags }),
    ...(desired === undefined ? {} : { properties: { desired } }),
  };
}

/** Azure's BulkRegistryOperationResult. */
export function formatBulkResult(problems: readonly BulkProblem[]): {
  isSuccessful: boolean;
  errors: object[];
  warnings: object[];
} {
  const errors = problems.filter(({ kind }) => kind === "error").map(formatError);
  const warnings = problems.filter(({ kind }) => kind === "warning").map(formatWarning);
  return { isSuccessful: errors.length === 0, errors, warnings };
}

/** What the hub did not foresee is told without details, as everywhere. */
function faceOf(error: unknown): { name: string; text: string } {
  const http = error instanceof IotError ? describe(error.code).http : undefined;
  if (!(error instanceof IotError) || http === undefined) {
    return { name: "ServerError", text: "The hub could not carry out the operation" };
  }
  return { name: http.name, text: error.message };
}

function formatError({ ref, operation, error }: BulkProblem): object {
  const { name, text } = faceOf(error);
  return {
    deviceId: ref.deviceId,
    errorCode: name,
    errorStatus: text,
    moduleId: ref.moduleId ?? "",
    operation,
  };
}

const formatWarning = ({ ref, error }: BulkProblem): object => ({
  deviceId: ref.deviceId,
  warningCode: "DeviceRegisteredWithoutTwin",
  warningStatus: faceOf(error).text,
});
