import { test } from "vitest";
import { surfaces } from "./operations.ts";
import { expectTable, runOfficial } from "./world.ts";

test("azure-iothub sends, calls methods and reads feedback, over AMQP and WebSocket", async () => {
  // Each beside a hub of its own: they would take each other's messages.
  const { transports } = surfaces.service;
  const outcomes = await Promise.all(transports.map((each) => runOfficial("service", each)));
  expectTable("service", outcomes.flat());
});
