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
  "05-durable-outbox.ts": [
    "reading 2 is on disk",
    "the first process ended by SIGKILL",
    "the next one finds 3 readings",
    "4 readings are with the hub",
  ],
  "06-provisioning.ts": [
    'first start: pump-3, remembered false, payload {"welcome":{"model":"P200"}}',
    "second start: pump-3, remembered true",
    "the service was asked 1 time",
  ],
  "07-x509-files.ts": [
    "warning: The certificate CN=camera-1 ends at",
    "changed over: all messages acknowledged",
    "0 failures, 0 reconnects",
  ],
};

test("every example is listed here", () => {
  const numbered = readdirSync(folder).filter((name) => /^\d\d-/u.test(name));
  expect(numbered.toSorted()).toEqual(Object.keys(printed));
});

test.each(Object.entries(printed))(
  "example %s runs to its end",
  async (name, lines) => {
    const args = ["--conditions=@hubwire/source", "--disable-warning=ExperimentalWarning"];
    const { code, stdout, stderr } = await runProgram(
      process.execPath,
      [...args, join(folder, name)],
      // Seconds on an idle computer; it may share one with every other test.
      { timeoutMs: 55_000 },
    );
    expect(code, stderr).toBe(0);
    for (const line of lines) expect(stdout).toContain(line);
  },
  60_000,
);
