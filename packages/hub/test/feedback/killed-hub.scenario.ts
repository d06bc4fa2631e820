import { startHub } from "@hubwire/hub";

/** A hub that is killed: it purges a message named after what it then does with the feedback, tells, and waits for its end. */
const [, , dataDirectory, answer] = process.argv;
const hub = await startHub({ logLevel: "error", dataDirectory: dataDirectory! });
if ((await hub.identities.find({ deviceId: "d", moduleId: undefined })) === undefined) {
  await hub.createDevice({ deviceId: "d" });
}
await hub.sendToDevice("d", "x", {
  ack: "full",
  properties: { system: { messageId: answer! } },
});
await hub.c2d.purge("d");
const batch = await hub.feedback.receive();
if (answer === "complete") await hub.feedback.complete(batch!.lockToken);
process.send!(
  batch!.records.map(({ statusCode, originalMessageId }) => `${originalMessageId} ${statusCode}`),
);
setInterval(() => {}, 1_000);
