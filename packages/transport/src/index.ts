export type * from "./clock.ts";
export type * from "./stream.ts";
