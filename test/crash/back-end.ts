import { createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { buildSasToken, IotError } from "@hubwire/protocol";
import { createAmqpClient } from "@hubwire/service/amqp";
import type { AmqpClient } from "@hubwire/service/amqp";
import type { HubAddress } from "./hub-process.ts";
import { BrokenPromise } from "./promises.ts";

type Method = "GET" | "PUT" | "PATCH" | "POST" | "DELETE";
export type Answer = { status: number; json: unknown };

export type StoredEvent = {
  partition: number;
  sequenceNumber: number;
  offset: string;
  enqueuedTimeUtc: string;
  deviceId: string;
  bodyBase64: string;
};

/** What a message is refused with by a hub that is there and has it. */
const refusals: ReadonlySet<string> = new Set([
  "device.not_found",
  "quota.queue_full",
  "service.message_rejected",
]);

/**
 * A back end as others write them: REST over TLS with the owner's token, messages and events over AMQP. What breaks off
 * rejects; nothing is repeated.
 */
export class BackEnd {
  readonly #port: number;
  readonly #token: Promise<string>;
  readonly #agent: Agent;
  readonly #amqp: AmqpClient;

  constructor({ httpsPort, amqpPort, caPem, ownerKey }: HubAddress) {
    this.#amqp = createAmqpClient({
      connectionString: `HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=${ownerKey}`,
      ca: caPem,
      port: amqpPort,
    });
    this.#port = httpsPort;
    this.#agent = new Agent({ keepAlive: true, ca: caPem, servername: "localhost" });
    const key = Buffer.from(ownerKey, "base64");
    this.#token = buildSasToken(
      {
        resource: "localhost",
        expiresAtS: Math.floor(Date.now() / 1000) + 3600,
        policyName: "iothubowner",
      },
      (text) => Promise.resolve(createHmac("sha256", key).update(text).digest("base64")),
    );
  }

  async call(method: Method, path: string, body?: unknown, ifMatch?: string): Promise<Answer> {
    const response = await this.#send(method, `${path}?api-version=2021-04-12`, body, ifMatch);
    const text = await readAll(response);
    return {
      status: response.statusCode ?? 0,
      json: text === "" ? undefined : (JSON.parse(text) as unknown),
    };
  }

  /** As `call`, for what the hub has no reason to refuse. */
  async ok(method: Method, path: string, body?: unknown, ifMatch?: string): Promise<unknown> {
    const { status, json } = await this.call(method, path, body, ifMatch);
    if (status < 300) return json;
    throw new BrokenPromise(`${method} ${path}: ${status} ${JSON.stringify(json)}`);
  }

  /** A message for a device, its id as its body. */
  async send(deviceId: string, messageId: string): Promise<void> {
    try {
      await this.#amqp.sendToDevice({ deviceId }, { body: messageId, messageId });
    } catch (error) {
      if (!(error instanceof IotError) || !refusals.has(error.code)) throw error;
      throw new BrokenPromise(`message ${messageId} to ${deviceId}: ${error.message}`);
    }
  }

  /** Everything in the telemetry log, in order per partition. */
  async events(): Promise<StoredEvent[]> {
    const broken = new AbortController();
    const events: StoredEvent[] = [];
    const reading = this.#amqp.events({
      start: "earliest",
      follow: false,
      signal: broken.signal,
      onReconnecting: (error) => broken.abort(error),
    });
    for await (const event of reading) {
      events.push({
        partition: Number(event.partitionId),
        sequenceNumber: event.sequenceNumber,
        offset: event.offset,
        enqueuedTimeUtc: event.enqueuedTime.toISOString(),
        deviceId: event.deviceId ?? "",
        bodyBase64: Buffer.from(event.body).toString("base64"),
      });
    }
    if (broken.signal.aborted) throw broken.signal.reason;
    return events;
  }

  close(): void {
    this.#agent.destroy();
    void this.#amqp.close();
  }

  async #send(
    method: Method,
    path: string,
    body?: unknown,
    ifMatch?: string,
  ): Promise<IncomingMessage> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      authorization: await this.#token,
      ...(text === undefined
        ? {}
        : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
      ...(ifMatch === undefined ? {} : { "if-match": ifMatch }),
    };
    return new Promise((resolve, reject) => {
      const outgoing = request({
        host: "127.0.0.1",
        port: this.#port,
        agent: this.#agent,
        method,
        path,
        headers,
      });
      outgoing.on("response", resolve).on("error", reject).end(text);
    });
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
