import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lockDirectory } from "../src/outbox/directory-lock.ts";
import { OutboxWorld } from "./support/outbox-world.ts";
import { Outcome } from "./support/world.ts";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "hubwire-outbox-lock-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("the lock of another process is seen, and dies with it", async () => {
  const holder = spawn(
    process.execPath,
    [
      "--conditions=@hubwire/source",
      "--disable-warning=ExperimentalWarning",
      join(import.meta.dirname, "support/lock-holder.scenario.ts"),
      directory,
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  try {
    const [said] = (await once(holder.stdout, "data")) as [Buffer];
    expect(said.toString()).toBe("held\n");
    await expect(lockDirectory(directory)).rejects.toMatchObject({
      code: "device.outbox_locked",
      retryable: true,
    });
  } finally {
    holder.kill("SIGKILL");
    await once(holder, "exit");
  }
  const unlock = await lockDirectory(directory);
  await unlock();
});

test("one outbox is open once; a client that closed, or never connected, has let go of it", async () => {
  const world = new OutboxWorld();
  const outbox = { kind: "durable", directory } as const;
  const open = async (refusal?: 5): Promise<Outcome<unknown>> => {
    world.hub.script.refuse = () => refusal;
    const opening = world.connecting({ outbox });
    await world.until(() => opening.isSettled);
    return opening;
  };
  expect((await open(5)).code).toBe("device.refused_not_authorized");
  const first = await open();
  expect(first.code).toBe("value");
  expect((await open()).code).toBe("device.outbox_locked");
  const client = first.value as { close(): Promise<void> };
  const closing = new Outcome(client.close());
  await world.until(() => closing.isSettled);
  const again = await open();
  expect(again.code).toBe("value");
  const closingAgain = new Outcome((again.value as { close(): Promise<void> }).close());
  await world.until(() => closingAgain.isSettled);
});
