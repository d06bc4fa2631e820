import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runProgram } from "./support/run-program.ts";

const folder = join(import.meta.dirname, "..", "examples");

/** What each example must print, so that one that does nothing is noticed. */
const printed: Record<string, string[]> = {
  "01-send-telemetry.ts": ["sent reading 0", "sent reading 4"],
  "02-receive.ts": [
    "message: open the window",
    'method reboot: {"delay":5}',
    'the device answered 200 {"rebooting":true}',
    'desired: {"intervalS":5}',
    '"intervalS":5',
  ],
  "03-errors-that-teach.ts": ["connection_string.", "device.refused_not_authorized"],
  "04-test-your-device.ts": ["an hour without network loses no reading", "pass 4", "fail 0"],
};

test("every example is listed here", () => {
  const numbered = readdirSync(folder).filter((name) => /^\d\d-/u.test(name));
  expect(numbered.toSorted()).toEqual(Object.keys(printed));
});

test.each(Object.entries(printed))("example %s runs to its end", async (name, lines) => {
  const { code, stdout, stderr } = await runProgram(process.execPath, [
    "--conditions=@hubwire/source",
    "--disable-warning=ExperimentalWarning",
    join(folder, name),
  ]);
  expect(code, stderr).toBe(0);
  for (const line of lines) expect(stdout).toContain(line);
});
