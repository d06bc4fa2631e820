import { test } from "vitest";
import { surfaces } from "./operations.ts";
import { expectTable, runOfficial } from "./world.ts";

test("@azure/event-hubs reads over TLS, over WebSocket and as beside the emulator", async () => {
  // Each beside a hub of its own: they would take each other's messages.
  const { transports } = surfaces.events;
  const outcomes = await Promise.all(transports.map((each) => runOfficial("events", each)));
  expectTable("events", outcomes.flat());
});
