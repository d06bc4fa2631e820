import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@hubwire/device";
import { expect, test } from "vitest";
import { startHub } from "../../src/index.ts";
import type { Hub } from "../../src/index.ts";

const codes = (batch: { records: readonly { statusCode: string; originalMessageId: string }[] }) =>
  batch.records.map(({ statusCode, originalMessageId }) => `${originalMessageId} ${statusCode}`);

/** `ack` is the message's id too. */
const send = (hub: Hub, ack: "none" | "positive" | "negative" | "full"): Promise<unknown> =>
  hub.sendToDevice("d", "x", { ack, properties: { system: { messageId: ack } } });

test("a purge reports to those who asked for bad news, a completion to those who asked for good", async () => {
  const hub = await startHub({ logLevel: "error" });
  const { connectionString } = await hub.createDevice({ deviceId: "d" });
  for (const ack of ["none", "positive", "negative", "full"] as const) await send(hub, ack);
  await hub.c2d.purge("d");
  const purged = await hub.feedback.receive();
  expect(codes(purged!)).toEqual(["negative Purged", "full Purged"]);
  await hub.feedback.abandon(purged!.lockToken);

  const device = await connect({ connectionString, ca: hub.caPem } as never);
  for (const ack of ["none", "positive", "negative", "full"] as const) await send(hub, ack);
  let got = 0;
  for await (const message of device.messages()) {
    await message.complete();
    if (++got === 4) break;
  }
  await expect.poll(() => hub.c2d.count("d")).toBe(0);
  await device.close();
  const all = await hub.feedback.receive();
  expect(codes(all!)).toEqual([
    "negative Purged",
    "full Purged",
    "positive Success",
    "full Success",
  ]);
  expect(await hub.feedback.complete(all!.lockToken)).toEqual({ ok: true });
  await hub.stop();
});

test("feedback that was completed never comes again after a kill; what was only received does", async () => {
  const directory = await mkdtemp(join(tmpdir(), "hubwire-feedback-"));
  try {
    for (const answer of ["complete", "receive"]) {
      const child = fork(join(import.meta.dirname, "killed-hub.scenario.ts"), [directory, answer], {
        execArgv: ["--conditions=@hubwire/source"],
      });
      const [told] = (await once(child, "message")) as [string[]];
      child.kill("SIGKILL");
      await once(child, "exit");
      expect(told).toEqual([`${answer} Purged`]);
    }
    const hub = await startHub({ logLevel: "error", dataDirectory: directory });
    const batch = await hub.feedback.receive();
    expect(codes(batch!)).toEqual(["receive Purged"]);
    await hub.stop();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
