import { group } from "./entry.ts";

export const connectionStringErrors = group({});
