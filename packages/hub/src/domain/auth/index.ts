export { createAuthenticator } from "./authenticator.ts";
export type { AuthenticatorOptions } from "./authenticator.ts";
export { ensurePolicies, serviceConnectionString } from "./policies.ts";
export type { Policy } from "./policies.ts";
export { isShownId } from "./shown-id.ts";
