import { test } from "vitest";
import { expectTable, runOfficial } from "./world.ts";

test("azure-iothub manages identities, twins and queries over REST", async () => {
  expectTable("registry", await runOfficial("registry"));
});
