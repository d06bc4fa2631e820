import { test } from "vitest";
import { expectTable, runOfficial } from "./world.ts";

test("azure-iot-device does as a module what it does against Azure", async () => {
  expectTable("module", await runOfficial("module"));
});
