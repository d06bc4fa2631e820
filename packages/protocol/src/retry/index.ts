export * from "./backoff.ts";
