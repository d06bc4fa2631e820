export { createAuthenticator, defaultClockToleranceS } from "./authenticator.ts";
export type { AuthenticatorOptions } from "./authenticator.ts";
export { ensurePolicies, serviceConnectionString } from "./policies.ts";
export type { Policy } from "./policies.ts";
export { createServiceTokens } from "./service-tokens.ts";
export type { ServiceGrant, ServiceTokens } from "./service-tokens.ts";
export { isShownId } from "./shown-id.ts";
