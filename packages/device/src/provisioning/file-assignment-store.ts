import { IotError, isDeviceId, isJsonObject, parseJson } from "@hubwire/protocol";
import type { JsonObject, JsonValue } from "@hubwire/protocol";
import { isMissing, readSmallFile, replacePrivateFile } from "../files/private-file.ts";
import type { Assignment, AssignmentStore } from "./assignment-store.ts";

/** Of the file; newer ones are not understood, and the service is asked instead. */
const format = 1;
/** A returned payload and a chain of certificates fit many times over. */
const bytesMax = 1024 * 1024;

/**
 * Keeps the assignment in a file: written beside it, synced and renamed, so that a power cut leaves the old or the new one;
 * only this user may read it.
 */
export function fileAssignmentStore(path: string): AssignmentStore {
  return {
    async load() {
      const bytes = await read(path);
      return bytes === undefined ? undefined : parseAssignment(bytes, path);
    },
    async save(assignment) {
      try {
        await replacePrivateFile(
          path,
          `${JSON.stringify({ format, ...assignment }, undefined, 2)}\n`,
        );
      } catch (cause) {
        throw unusable(`${path} could not be written`, cause);
      }
    },
  };
}

async function read(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readSmallFile(path, bytesMax);
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw unusable(`${path} could not be read`, cause);
  }
}

function parseAssignment(bytes: Uint8Array, path: string): Assignment {
  let body: unknown;
  try {
    body = parseJson(bytes, { bytesMax, depthMax: 64 });
  } catch (cause) {
    throw unusable(`${path} is not what was written there`, cause);
  }
  if (!isJsonObject(body) || own(body, "format") !== format) {
    throw unusable(`${path} has a format this version does not know`);
  }
  const texts = textNames.map((name) => [name, own(body, name)] as const);
  const deviceId = own(body, "deviceId");
  const isWhole = texts.every(([, value]) => typeof value === "string" && value !== "");
  if (!isWhole || typeof deviceId !== "string" || !isDeviceId(deviceId)) {
    throw unusable(`${path} is incomplete`);
  }
  return { ...(Object.fromEntries(texts) as RequiredTexts), ...optional(body) };
}

const own = (body: JsonObject, name: string): JsonValue | undefined =>
  Object.hasOwn(body, name) ? body[name] : undefined;

const textNames = [
  "provisioningHost",
  "idScope",
  "registrationId",
  "assignedHub",
  "deviceId",
  "assignedAt",
] as const;
type RequiredTexts = Record<(typeof textNames)[number], string>;

function optional(body: JsonObject): Partial<Assignment> {
  const found: Partial<Assignment> = {};
  const payload = own(body, "payload");
  if (payload !== undefined) found.payload = payload;
  const substatus = own(body, "substatus");
  if (typeof substatus === "string") found.substatus = substatus;
  const chain = own(body, "issuedCertificateChain");
  if (Array.isArray(chain) && chain.every((one) => typeof one === "string")) {
    found.issuedCertificateChain = chain;
  }
  return found;
}

const unusable = (message: string, cause?: unknown): IotError =>
  new IotError("provisioning.store_unusable", message, cause === undefined ? undefined : { cause });
