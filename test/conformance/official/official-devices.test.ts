import { test } from "vitest";
import { expectTable, runOfficial } from "./world.ts";

test("azure-iot-device does as a device what it does against Azure, over every transport and proof", async () => {
  expectTable("device", await runOfficial("device"));
});
