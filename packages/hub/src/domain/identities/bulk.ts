import { IotError } from "@hubwire/protocol";
import { identityKey } from "../services.ts";
import type { BulkItem, BulkMode, BulkProblem, Identities, ServiceTwins } from "../services.ts";

/** Azure IoT Hub REST API reference, "Bulk Registry - Update Registry". */
export const bulkItemsMax = 100;

export type BulkParts = {
  identities: Pick<Identities, "create" | "update" | "delete">;
  twins: Pick<ServiceTwins, "patch">;
};

/** Resolves to a warning when the identity is written and its twin is not. */
type Work = (item: BulkItem, parts: BulkParts) => Promise<unknown>;

const isCode = (error: unknown, ...codes: IotError["code"][]): boolean =>
  error instanceof IotError && codes.includes(error.code);

/**
 * Carries out every item for itself. Writes to one device happen in the order of the items, because the registry takes
 * them in the order they are asked for; different devices are written side by side.
 * @throws IotError `request.too_many_devices`, `request.device_twice` before anything was done
 */
export async function bulkRun(
  items: readonly BulkItem[],
  parts: BulkParts,
): Promise<readonly BulkProblem[]> {
  checkItems(items);
  const outcomes = await Promise.all(items.map((item) => runOne(item, parts)));
  return outcomes.filter((problem) => problem !== undefined);
}

function checkItems(items: readonly BulkItem[]): void {
  if (items.length < 1 || items.length > bulkItemsMax) {
    throw new IotError(
      "request.too_many_devices",
      `A bulk operation has 1 to ${bulkItemsMax} elements, not ${items.length}`,
    );
  }
  const seen = new Set<string>();
  for (const { write } of items) {
    const key = identityKey(write);
    if (seen.has(key)) {
      throw new IotError("request.device_twice", `"${key}" is there twice`);
    }
    seen.add(key);
  }
}

async function runOne(item: BulkItem, parts: BulkParts): Promise<BulkProblem | undefined> {
  const { deviceId, moduleId } = item.write;
  const problem = (kind: BulkProblem["kind"], error: unknown): BulkProblem => ({
    ref: { deviceId, moduleId },
    operation: item.operation,
    kind,
    error,
  });
  try {
    const warning = await works[item.mode](item, parts);
    return warning === undefined ? undefined : problem("warning", warning);
  } catch (error) {
    return problem("error", error);
  }
}

const create: Work = async (item, parts) => {
  await parts.identities.create(item.write);
  return writeFirstTwin(item, parts);
};

const update: Work = async (item, { identities }) => {
  await identities.update(item.write, "*");
};

const updateIfMatch: Work = async (item, { identities }) => {
  await identities.update(item.write, needed(item.etag, "eTag"));
};

/** Updates what is there, by etag or not, and creates what is not; the twin is written with a new identity only. */
const createOr =
  (updateExisting: Work): Work =>
  async (item, parts) => {
    try {
      return await updateExisting(item, parts);
    } catch (error) {
      if (!isCode(error, "device.not_found", "module.not_found")) throw error;
    }
    try {
      return await create(item, parts);
    } catch (error) {
      // Somebody else created it in between.
      if (!isCode(error, "device.already_exists", "module.already_exists")) throw error;
    }
    return updateExisting(item, parts);
  };

const remove: Work = async ({ write }, { identities }) => {
  await identities.delete(write, "*");
};

const removeIfMatch: Work = async ({ write, etag }, { identities }) => {
  await identities.delete(write, needed(etag, "eTag"));
};

const updateTwin: Work = async ({ write, twin }, { twins }) => {
  await twins.patch(write, twin ?? {}, "*");
};

const updateTwinIfMatch: Work = async ({ write, twin, twinEtag }, { twins }) => {
  await twins.patch(write, twin ?? {}, needed(twinEtag, "twinETag"));
};

const works: Readonly<Record<BulkMode, Work>> = {
  create,
  update,
  updateifmatchetag: updateIfMatch,
  createorupdate: createOr(update),
  createorupdateifmatchetag: createOr(updateIfMatch),
  delete: remove,
  deleteifmatchetag: removeIfMatch,
  updatetwin: updateTwin,
  updatetwinifmatchetag: updateTwinIfMatch,
};

async function writeFirstTwin({ write, twin }: BulkItem, { twins }: BulkParts): Promise<unknown> {
  if (twin === undefined) return undefined;
  try {
    await twins.patch(write, twin, "*");
    return undefined;
  } catch (error) {
    return error;
  }
}

function needed(etag: string | undefined, name: string): string {
  if (etag !== undefined && etag !== "") return etag;
  throw new IotError("etag.missing", `The element has no ${name}`);
}
