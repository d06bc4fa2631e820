import { group } from "./entry.ts";

export const twinErrors = group({});
