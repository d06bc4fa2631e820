import { IotError } from "@hubwire/protocol";
import type { Ref } from "../types.ts";

/** Device and module id of either form. */
export function idsOf(ref: Ref): { deviceId: string; moduleId: string | undefined } {
  if (typeof ref === "string") return { deviceId: ref, moduleId: undefined };
  return { deviceId: ref.deviceId, moduleId: ref.moduleId };
}

type Path = readonly (string | { id: string })[];

export const devicePath = (deviceId: string): Path => ["devices", { id: deviceId }];

export const modulePath = (deviceId: string, moduleId: string): Path => [
  ...devicePath(deviceId),
  "modules",
  { id: moduleId },
];

export function twinPath(ref: Ref): Path {
  const { deviceId, moduleId } = idsOf(ref);
  const device = ["twins", { id: deviceId }];
  return moduleId === undefined ? device : [...device, "modules", { id: moduleId }];
}

/** @throws IotError `service.bad_answer` when the hub's answer has not even the right kind */
export function expectObject<T extends object>(json: unknown, what: string): T {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as T;
  throw new IotError("service.bad_answer", `The hub answered with something that is no ${what}`);
}

/** @throws IotError `service.bad_answer` */
export function expectArray<T>(json: unknown, what: string): T[] {
  if (Array.isArray(json)) return json as T[];
  throw new IotError(
    "service.bad_answer",
    `The hub answered with something that is no list of ${what}`,
  );
}
