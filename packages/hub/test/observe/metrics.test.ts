import { systemClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import { countCode, createHubMetrics } from "../../src/domain/observe.ts";
import { createMetricsText } from "../../src/observe/index.ts";
import { createMemoryStores } from "../../src/stores/memory/index.ts";

const valueOf = (text: string, name: string): string | undefined =>
  text
    .split("\n")
    .find((line) => line.startsWith(`${name} `))
    ?.slice(name.length + 1);

function world(telemetryDiskBytes?: number) {
  const metrics = createHubMetrics();
  const stores = createMemoryStores({ clock: systemClock(), partitions: 2 });
  const text = createMetricsText({ metrics, stores, telemetryDiskBytes: () => telemetryDiskBytes });
  return { metrics, stores, text };
}

test("every plain counter and level of the hub is served, and nothing else of the hub's", async () => {
  const { metrics, text } = world(4096);
  let n = 100;
  for (const [field, value] of Object.entries(metrics)) {
    if (typeof value === "number") Object.assign(metrics, { [field]: ++n });
  }
  countCode(metrics.connectsRefused, "code.a");
  countCode(metrics.disconnects, "code.b");
  const served = (await text()).split("\n").filter((line) => line.startsWith("hubwire_"));
  const values = new Set(served.map((line) => Number(line.split(" ")[1])));
  for (let value = 101; value <= n; value++) expect(values, `${value}`).toContain(value);
  const labels = new Set(served.flatMap((line) => /\{(\w+)=/.exec(line)?.[1] ?? []));
  expect([...labels].toSorted()).toEqual(["code", "partition"]);
});

test("each scrape reads the numbers anew", async () => {
  const { metrics, text } = world();
  metrics.messagesIn = 5;
  metrics.connections = 3;
  countCode(metrics.connectsRefused, "auth.token_expired");
  const first = await text();
  expect(valueOf(first, "hubwire_telemetry_messages_total")).toBe("5");
  expect(valueOf(first, "hubwire_connections")).toBe("3");
  metrics.messagesIn = 7;
  metrics.connections = 1;
  countCode(metrics.connectsRefused, "auth.token_expired");
  const second = await text();
  expect(valueOf(second, "hubwire_telemetry_messages_total")).toBe("7");
  expect(valueOf(second, "hubwire_connections")).toBe("1");
  expect(valueOf(second, 'hubwire_connects_refused_total{code="auth.token_expired"}')).toBe("2");
});

test("partitions, disk space, readiness and the process are measured", async () => {
  const { stores, text } = world(123);
  stores.telemetry.append(1, new Uint8Array(1), new Uint8Array(1), 0, 1);
  await new Promise<void>((resolve) => stores.telemetry.onCommit(() => resolve()));
  const served = await text();
  expect(valueOf(served, 'hubwire_partition_next_sequence_number{partition="1"}')).toBe("1");
  expect(valueOf(served, "hubwire_telemetry_disk_bytes")).toBe("123");
  expect(valueOf(served, "hubwire_ready")).toBe("1");
  expect(Number(valueOf(served, "process_resident_memory_bytes"))).toBeGreaterThan(1e6);
  expect(await world().text()).not.toContain("hubwire_telemetry_disk_bytes");
});

test("every metric has a help line and a type", async () => {
  const served = (await world(1).text()).split("\n");
  const names = new Set(
    served.filter((line) => /^[a-z]/.test(line)).map((line) => line.split(/[ {]/)[0]!),
  );
  for (const name of names) {
    expect(
      served.some((line) => line.startsWith(`# HELP ${name} `)),
      name,
    ).toBe(true);
    expect(
      served.some((line) => line.startsWith(`# TYPE ${name} `)),
      name,
    ).toBe(true);
  }
});
