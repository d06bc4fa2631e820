/** The other side of the devices, with Microsoft's own clients too. */
import { ok } from "node:assert";
import { EventHubConsumerClient, earliestEventPosition } from "@azure/event-hubs";
import type { ReceivedEventData } from "@azure/event-hubs";
import iothub from "azure-iothub";
import { given, within } from "../checks.ts";

export const noRetry = { shouldRetry: () => false, nextRetryTimeout: () => 0 };

/** Reads every event there is and comes, and finds those of a device. */
export class Reader {
  readonly events: ReceivedEventData[] = [];
  readonly #client = new EventHubConsumerClient("$Default", given().events);
  readonly #waiting = new Set<() => void>();

  constructor() {
    this.#client.subscribe(
      {
        processEvents: async (events) => {
          this.events.push(...events);
          for (const look of this.#waiting) look();
        },
        processError: async (error) => {
          process.stderr.write(`${error.name}: ${error.message}\n`);
        },
      },
      { startPosition: earliestEventPosition },
    );
  }

  find(wanted: (event: ReceivedEventData) => boolean): Promise<ReceivedEventData> {
    const found = new Promise<ReceivedEventData>((resolve) => {
      const look = (): void => {
        const event = this.events.find(wanted);
        if (event === undefined) return;
        this.#waiting.delete(look);
        resolve(event);
      };
      this.#waiting.add(look);
      look();
    });
    return within(10_000, found);
  }
}

/** All that the reader's client shows of an event; what differs from run to run is checked for its kind and replaced. */
export function seen(event: ReceivedEventData): Record<string, unknown> {
  const { systemProperties = {}, ...rest } = { ...event };
  Reflect.deleteProperty(rest, "getRawAmqpMessage");
  const age = Date.now() - event.enqueuedTimeUtc.getTime();
  ok(Math.abs(age) < 60_000, `enqueued ${age} ms ago`);
  ok(Number.isSafeInteger(event.sequenceNumber) && event.sequenceNumber >= 0);
  ok(/^\d+$/.test(event.offset), `offset ${event.offset}`);
  const at = systemProperties["iothub-enqueuedtime"] as number;
  ok(Math.abs(Date.now() - at) < 60_000, `iothub-enqueuedtime ${String(at)}`);
  const authText = systemProperties["iothub-connection-auth-method"] as string;
  const { userId } = systemProperties;
  // The client copies the bytes into an object without their class.
  const user =
    userId === undefined
      ? {}
      : { userId: Buffer.from(Object.values(userId as object) as number[]).toString() };
  return {
    ...rest,
    enqueuedTimeUtc: "a time",
    sequenceNumber: "a number",
    offset: "an offset",
    systemProperties: {
      ...systemProperties,
      ...user,
      "iothub-enqueuedtime": "a time",
      "iothub-connection-auth-method": JSON.parse(authText) as unknown,
    },
  };
}

export const registry = iothub.Registry.fromConnectionString(given().service["iothubowner"] ?? "");
export const backEnd = iothub.Client.fromConnectionString(given().service["service"] ?? "");

export const partsOf = (connectionString: string): Record<string, string> =>
  Object.fromEntries(
    connectionString.split(";").map((part) => {
      const at = part.indexOf("=");
      return [part.slice(0, at), part.slice(at + 1)];
    }),
  );

/** The generation of a device, which telemetry names. */
export async function generationOf(deviceId: string): Promise<string> {
  const { responseBody } = await registry.get(deviceId);
  return (responseBody as unknown as { generationId: string }).generationId;
}
