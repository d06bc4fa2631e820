import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createRequire } from "node:module";
import tls from "node:tls";
import rhea from "rhea";
import type { Connection, EventContext, Receiver, Sender } from "rhea";
import { startHub } from "../../src/index.ts";
import type { Hub } from "../../src/index.ts";
import type { HubConfig } from "../../src/config.ts";

export const require = createRequire(import.meta.url);

/** A hub on free ports whose CA this process trusts, as `NODE_EXTRA_CA_CERTS` would make it. */
export async function trustedHub(config: HubConfig = {}): Promise<Hub> {
  const hub = await startHub({ logLevel: "error", ...config });
  tls.setDefaultCACertificates([...tls.getCACertificates("default"), hub.caPem]);
  return hub;
}

const field = (text: string, name: string): string =>
  new RegExp(`${name}=([^;]*)`).exec(text)?.[1] ?? "";

/** A service token for the hub itself: the key's bytes sign. */
export function hubToken(hub: Hub, policy = "service", expiresAtS = nowS() + 3600): string {
  const key = Buffer.from(field(hub.connectionString(policy), "SharedAccessKey"), "base64");
  return sign(hub.hostName, hub.hostName, key, policy, expiresAtS);
}

/** A token for the Event Hubs-compatible endpoint: the key's characters sign. */
export function entityToken(
  hub: Hub,
  path: string,
  policy = "service",
  expiresAtS = nowS() + 3600,
) {
  const key = field(hub.connectionString(policy), "SharedAccessKey");
  const audience = `sb://${hub.hostName}/${path}`;
  return sign(encodeURIComponent(audience), audience, key, policy, expiresAtS);
}

export const nowS = (): number => Math.floor(Date.now() / 1000);

function sign(sr: string, _: string, key: Buffer | string, policy: string, se: number): string {
  const sig = createHmac("sha256", key).update(`${sr}\n${se}`).digest("base64");
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=${policy}`;
}

/** A raw rhea client over TLS. */
export class RawAmqp {
  readonly connection: Connection;
  readonly ended: Promise<{ condition: string | undefined }>;
  #answers: Receiver | undefined;
  #requests: Sender | undefined;

  private constructor(connection: Connection) {
    this.connection = connection;
    this.ended = new Promise((resolve) => {
      const end = (): void =>
        resolve({ condition: (connection.error as { condition?: string } | undefined)?.condition });
      connection.on("connection_close", end);
      connection.on("disconnected", end);
    });
    for (const event of ["connection_error", "receiver_error", "sender_error", "session_error"]) {
      connection.on(event, () => {});
    }
    connection.on("error", () => {});
    connection.on("protocol_error", () => {});
  }

  static async open(hub: Hub, options: Record<string, unknown> = {}): Promise<RawAmqp> {
    const container = rhea.create_container();
    const connection = container.connect({
      host: "localhost",
      port: hub.amqpPort!,
      transport: "tls",
      ca: hub.caPem,
      reconnect: false,
      ...options,
    } as never);
    const raw = new RawAmqp(connection);
    await new Promise<void>((resolve, reject) => {
      connection.on("connection_open", () => resolve());
      void raw.ended.then(({ condition }) => reject(new Error(condition ?? "ended")));
    });
    return raw;
  }

  /** Puts a token; returns the status. */
  async put(token: string, name: string = randomUUID()): Promise<number> {
    if (this.#requests === undefined) {
      this.#requests = this.connection.open_sender({ target: { address: "$cbs" } });
      this.#answers = this.connection.open_receiver({ source: { address: "$cbs" } });
      await once(this.#requests as never, "sendable");
    }
    const id = randomUUID();
    const answer = new Promise<number>((resolve) => {
      const look = ({ message }: EventContext): void => {
        if (message?.correlation_id !== id) return;
        this.#answers!.removeListener("message", look);
        resolve((message.application_properties as Record<string, number>)["status-code"]!);
      };
      this.#answers!.on("message", look);
    });
    this.#requests.send({
      message_id: id,
      reply_to: "cbs",
      to: "$cbs",
      application_properties: {
        operation: "put-token",
        type: "servicebus.windows.net:sastoken",
        name,
      },
      body: token,
    });
    return answer;
  }

  /** Attaches a receiver. Resolves when it is open; rejects with the condition it was refused with. */
  async receiver(address: string, options: Record<string, unknown> = {}): Promise<Receiver> {
    const receiver = this.connection.open_receiver({
      source: { address, ...(options["source"] as object | undefined) },
      credit_window: 0,
      autoaccept: true,
      name: randomUUID(),
      ...without(options, "source"),
    } as never);
    await settled(receiver, "receiver");
    return receiver;
  }

  async sender(address: string): Promise<Sender> {
    const sender = this.connection.open_sender({
      target: { address },
      name: randomUUID(),
    } as never);
    await settled(sender, "sender");
    return sender;
  }

  /** Sends one message and tells its outcome: "accepted", or the condition it was rejected with. */
  async send(sender: Sender, message: Record<string, unknown>): Promise<string> {
    const delivery = sender.send(message as never);
    return new Promise((resolve) => {
      sender.on("accepted", (context) => {
        if (context.delivery === delivery) resolve("accepted");
      });
      sender.on("rejected", (context) => {
        if (context.delivery !== delivery) return;
        const state = delivery.remote_state as { error?: { condition?: string } } | undefined;
        resolve(String(state?.error?.condition));
      });
    });
  }

  close(): void {
    this.connection.close();
  }
}

const without = (options: Record<string, unknown>, name: string): Record<string, unknown> =>
  Object.fromEntries(Object.entries(options).filter(([key]) => key !== name));

/** An attach that is refused is answered with a detach right behind: only silence after both ends says it is open. */
export class Refused extends Error {
  readonly condition: string;
  readonly info: Record<string, unknown>;
  constructor(error: { condition?: string; description?: string; info?: unknown }) {
    super(`${error.condition}: ${error.description}`);
    this.condition = String(error.condition);
    this.info = (error.info ?? {}) as Record<string, unknown>;
  }
}

async function settled(link: Receiver | Sender, kind: "receiver" | "sender"): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    link.on(`${kind}_open`, () => {
      const terminus = kind === "receiver" ? link.source : link.target;
      if (terminus?.address !== undefined) resolve();
    });
    link.on(`${kind}_error`, () => reject(new Refused(link.error as never)));
    link.connection.on("disconnected", () => reject(new Error("disconnected")));
  });
}

export type Taken = { message_annotations?: Record<string, unknown>; body?: unknown };

/** The next messages of a receiver, after giving it credit for them. */
export function take(receiver: Receiver, count: number): Promise<Taken[]> {
  const taken: Taken[] = [];
  return new Promise((resolve) => {
    const look = ({ message }: EventContext): void => {
      taken.push(message as Taken);
      if (taken.length < count) return;
      receiver.removeListener("message", look);
      resolve(taken);
    };
    receiver.on("message", look);
    receiver.add_credit(count);
  });
}

/** Selector filter of an Event Hubs reader. */
export const from = (expression: string): object => ({
  filter: {
    "apache.org:selector-filter:string": rhea.types.wrap_described(
      expression,
      77567109365764 as never,
    ),
  },
});
