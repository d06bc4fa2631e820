/** Device and module ids: who a connection, a topic or a token is about. */

/** A device, or a module of it when `moduleId` is set. Ids are case-sensitive and never percent-encoded. */
export type DeviceIdentity = { deviceId: string; moduleId?: string | undefined };

/** Length of device and module ids in characters (Azure IoT Hub docs, identity registry). */
export const idCharactersMax = 128;

const ID = /^[A-Za-z0-9\-.+%_#*?!(),:=@$']{1,128}$/;
const SYSTEM_MODULES: ReadonlySet<string> = new Set(["$edgeAgent", "$edgeHub"]);

/** Whether the registry accepts `text` as a device id. */
export const isDeviceId = (text: string): boolean => ID.test(text);

/** Whether the registry accepts `text` as the id of a module that a caller creates. */
export const isModuleId = (text: string): boolean => ID.test(text) && !text.startsWith("$");

/** The two modules every edge device gets; they exist, connect and have twins, and callers cannot create them. */
export const isSystemModuleId = (text: string): boolean => SYSTEM_MODULES.has(text);

/** `{deviceId}` or `{deviceId}/{moduleId}`: the MQTT client id and the certificate's CN of this identity. */
export const formatClientId = (identity: DeviceIdentity): string =>
  identity.moduleId === undefined ? identity.deviceId : `${identity.deviceId}/${identity.moduleId}`;

export const sameIdentity = (a: DeviceIdentity, b: DeviceIdentity): boolean =>
  a.deviceId === b.deviceId && a.moduleId === b.moduleId;
