/** What a device takes in a hub without data directory: identity and twin in the memory store, bytes of heap. Needs `--expose-gc`. */
import { createMemoryStores } from "@hubwire/hub";
import { systemClock } from "@hubwire/transport";
import { deviceIdOf, generationOf, identityOf, twinOf } from "./registry-fleet.ts";

export type MemoryResult = { bytesPerDevice: number; withIndexes: number };

const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
const { devices } = JSON.parse(Buffer.concat(chunks).toString("utf8")) as { devices: number };
const { documents } = createMemoryStores({ clock: systemClock() });
const heap = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
};
const before = heap();
for (let n = 0; n < devices; n++) {
  const key = `${deviceIdOf(n)}@${generationOf(n)}`;
  void documents.put("identities", deviceIdOf(n), identityOf(n), "absent");
  await documents.put("twins", key, { twin: twinOf(n) }, "absent");
}
const filled = heap();
for (const path of [
  ["twin", "tags", "batch"],
  ["twin", "reported", "properties", "temperature"],
]) {
  await documents.lookup("twins", { path, values: [{ equals: 1 }], limit: 1 });
}
const indexed = heap();
const result: MemoryResult = {
  bytesPerDevice: (filled - before) / devices,
  withIndexes: (indexed - before) / devices,
};
process.stdout.write(JSON.stringify(result));
