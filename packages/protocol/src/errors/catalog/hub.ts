import { group } from "./entry.ts";

export const hubErrors = group({});
