/** Runs without the right to listen on ports below 1024: what a hub then says, and where it goes. Prints one JSON object. */
import { createHub, type HubConfig } from "@hubwire/hub";
import { IotError } from "@hubwire/protocol";
import { RecordingLogger } from "../support/recording-logger.ts";
import { Witness } from "../support/witness.ts";

const logger = new RecordingLogger();
const warnings = (): string[] =>
  logger.lines.filter(({ level }) => level === "warn").map(({ event }) => String(event));

/** Several hubs at a time, of which only the HTTPS ports are looked at. */
const amqp = { amqpPort: 0, amqpPlainPort: 0 };

async function refusal(port: "mqttPort" | "httpsPort", config: HubConfig) {
  const error: unknown = await createHub({ logger, ...amqp, ...config }).catch(
    (reason: unknown) => reason,
  );
  if (!(error instanceof IotError)) throw new Error(`${port}: it started`, { cause: error });
  const { code, message, remedy } = error;
  return { port, code, message, remedy };
}

await using first = await createHub({ logger, ...amqp, mqttPort: 0 });
const { connectionString } = await first.createDevice({ deviceId: "witness" });
const witness = await Witness.start({ connectionString, ca: first.caPem });
const refused = [
  await refusal("mqttPort", { mqttPort: 883, httpsPort: 0 }),
  await refusal("httpsPort", { mqttPort: 0, httpsPort: 443 }),
];
await using second = await createHub({ logger, ...amqp, mqttPort: 0 });
await witness.beat();
const { states } = await witness.stop();
const httpsPorts = [first.httpsPort, second.httpsPort];
process.stdout.write(`${JSON.stringify({ refused, httpsPorts, warnings: warnings(), states })}\n`);
