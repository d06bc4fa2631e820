/** Shared access policies: what a service (or a device acting through one) may do. */

export const permissions = [
  "RegistryRead",
  "RegistryWrite",
  "ServiceConnect",
  "DeviceConnect",
] as const;
export type Permission = (typeof permissions)[number];

/** The policies every new hub has. @see Azure IoT Hub docs, "Control access to IoT Hub" */
export const builtInPolicies = [
  { name: "iothubowner", permissions },
  { name: "service", permissions: ["ServiceConnect"] },
  { name: "device", permissions: ["DeviceConnect"] },
  { name: "registryRead", permissions: ["RegistryRead"] },
  { name: "registryReadWrite", permissions: ["RegistryRead", "RegistryWrite"] },
] as const satisfies readonly { name: string; permissions: readonly Permission[] }[];

/** Whether a policy with `granted` may do what needs `needed`. Writing the registry includes reading it. */
export const isPermitted = (granted: readonly Permission[], needed: Permission): boolean =>
  granted.includes(needed) || (needed === "RegistryRead" && granted.includes("RegistryWrite"));
