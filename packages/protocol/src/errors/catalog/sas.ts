import { group } from "./entry.ts";

export const sasErrors = group({});
