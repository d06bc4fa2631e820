import { group } from "./entry.ts";

export const deviceErrors = group({});
