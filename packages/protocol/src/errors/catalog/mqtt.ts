import { group } from "./entry.ts";

export const mqttErrors = group({});
