import * as fc from "fast-check";
import { expect, test } from "vitest";
import vectors from "../../../../vectors/partition.json" with { type: "json" };
import { partitionForDevice, partitionKeyHash } from "../../src/iothub/index.ts";
import "../long-runs.ts";

test.each(vectors.partitions)(
  "$key of $partitionCount goes to partition $partition",
  ({ key, partitionCount, partition }) => {
    expect(partitionForDevice(key, partitionCount)).toBe(partition);
  },
);

test.each(vectors.hashes)("the hash of $key is $hash", ({ key, hash }) => {
  expect(partitionKeyHash(key)).toBe(hash);
});

test("any id goes to a partition that exists, always the same", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: 32 }), (id, count) => {
      const partition = partitionForDevice(id, count);
      expect(partition).toBeGreaterThanOrEqual(0);
      expect(partition).toBeLessThan(count);
      expect(partitionForDevice(id, count)).toBe(partition);
    }),
  );
});

test("a thousand devices are spread over four partitions", () => {
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 1000; i++) {
    const partition = partitionForDevice(`device-${i}`, 4);
    counts[partition] = (counts[partition] ?? 0) + 1;
  }
  for (const count of counts) expect(count).toBeGreaterThan(150);
});
