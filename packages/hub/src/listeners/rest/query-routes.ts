import { encodeUtf8, IotError } from "@hubwire/protocol";
import { jsonResponse } from "./exchange.ts";
import type { RestRequest } from "./exchange.ts";
import { parseBody, readJsonBytes, requireObject, textMember } from "./json-body.ts";
import type { Route } from "./route.ts";

/** A query has at most 8,192 characters, each up to six bytes as an escape. */
const queryBytesMax = 64 * 1024;
const continuationBytesMax = 8 * 1024;

/** One page; `x-ms-continuation` is absent on the last, because SDKs take an empty one for a page to come. */
export const runQuery: Route = async ({ request, services }) => {
  const body = requireObject(parseBody(await readJsonBytes(request, queryBytesMax)), "The query");
  const text = textMember(body, "query");
  if (text === undefined) throw new IotError("argument.invalid", "query is missing");
  const { itemType, items, continuation } = await services.query.run(
    { text },
    { pageSize: pageSizeOf(request), continuation: continuationOf(request) },
  );
  return jsonResponse(200, items, {
    "x-ms-item-type": itemType,
    ...(continuation === undefined ? {} : { "x-ms-continuation": continuation }),
  });
};

function pageSizeOf({ headers }: RestRequest): number | undefined {
  const text = headers["x-ms-max-item-count"]?.trim() ?? "";
  if (text === "") return undefined;
  const size = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (size > 0) return size;
  throw new IotError("argument.invalid", "x-ms-max-item-count is a whole number from 1");
}

/** An empty one is none: some clients always send the header. */
function continuationOf({ headers }: RestRequest): string | undefined {
  const text = headers["x-ms-continuation"]?.trim() ?? "";
  if (encodeUtf8(text).length > continuationBytesMax) {
    throw new IotError("argument.invalid", "x-ms-continuation is not one this hub gave");
  }
  return text === "" ? undefined : text;
}
