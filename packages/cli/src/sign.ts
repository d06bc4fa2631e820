import { createHmac } from "node:crypto";
import type { Sign } from "@hubwire/protocol";

/** Signs tokens with a key as it stands in a connection string, base64. */
export const signWith =
  (key: string): Sign =>
  (text) =>
    Promise.resolve(createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64"));
