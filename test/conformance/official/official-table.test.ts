import { EventHubConsumerClient } from "@azure/event-hubs";
import device from "azure-iot-device";
import iothub from "azure-iothub";
import { expect, test } from "vitest";
import { expectedFailures } from "./expected-failures.ts";
import { surfaces } from "./operations.ts";

type Class = { prototype: object };

/** What a class offers by itself: its methods and makers, also inherited, without those of its events. */
function publicMethods(of: Class): string[] {
  const names = new Set<string>();
  let prototype: object | null = of.prototype;
  while (prototype !== null && !Object.hasOwn(prototype, "addListener")) {
    if (prototype === Object.prototype) break;
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (typeof value === "function" && name !== "constructor") names.add(name);
    }
    prototype = Object.getPrototypeOf(prototype) as object | null;
  }
  for (const name of Object.getOwnPropertyNames(of)) if (name.startsWith("from")) names.add(name);
  return [...names].filter((name) => !name.startsWith("_"));
}

/** TypeScript's private, by the classes' own declarations. */
const privates = [
  "EventHubConsumerClient.createEventProcessorForAllPartitions",
  "EventHubConsumerClient.createEventProcessorForSinglePartition",
];

test.each([
  ["device", "Client", device.Client],
  ["device", "Twin", device.Twin],
  ["module", "ModuleClient", device.ModuleClient],
  ["registry", "Registry", iothub.Registry],
  ["registry", "Twin", iothub.Twin],
  ["registry", "JobClient", iothub.JobClient],
  ["registry", "DigitalTwinClient", iothub.DigitalTwinClient],
  ["service", "Client", iothub.Client],
  ["events", "EventHubConsumerClient", EventHubConsumerClient],
] as const)("every public operation is in the table of %s: %s", (surface, name, of) => {
  const { operations } = surfaces[surface];
  const inTable = new Set(operations.map((operation) => operation.split(":")[0]));
  const offered = publicMethods(of as unknown as Class).map((method) => `${name}.${method}`);
  expect(offered.length).toBeGreaterThan(2);
  const missing = offered.filter((each) => !inTable.has(each) && !privates.includes(each));
  expect(missing).toEqual([]);
});

test("every expected failure is of an operation and a transport that there are, and says why", () => {
  for (const { surface, operations, transports = [], error, why } of expectedFailures) {
    expect(surfaces[surface].operations).toEqual(expect.arrayContaining([...operations]));
    expect(surfaces[surface].transports).toEqual(expect.arrayContaining([...transports]));
    expect(error).not.toBe("");
    expect(why).toMatch(/^[A-Z].{20,}\.$/u);
  }
});
