import { test } from "vitest";
import { expectTable, runOfficial } from "./world.ts";

test("azure-iot-provisioning-device registers by each proof", async () => {
  expectTable("provisioning", await runOfficial("provisioning"));
});
