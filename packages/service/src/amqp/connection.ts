import rhea from "rhea";
import type {
  Connection as RheaConnection,
  ConnectionOptions,
  EventContext,
  Receiver,
  ReceiverOptions,
  Sender,
  SenderOptions,
} from "rhea";
import { rootCertificates } from "node:tls";
import { IotError } from "@hubwire/protocol";
import { unreachable } from "../node/failures.ts";
import type { Deadline } from "../waiting.ts";
import { TokenDesk } from "./cbs.ts";
import { conditionError } from "./conditions.ts";
import type { Condition } from "./conditions.ts";

/** Where and how to dial. */
export type Dial = {
  host: string;
  port: number;
  /** Plain TCP, for an Event Hubs emulator on loopback. */
  isPlain?: boolean;
  /** PEM of CAs trusted besides the usual ones. */
  ca: readonly string[];
  /** SASL ANONYMOUS under this name, as Event Hubs wants; undefined: no SASL, as the service SDKs of IoT Hub do. */
  anonymousAs: string | undefined;
};

/** A peer that says nothing for twice as long is gone. */
const idleMs = 30_000;

/**
 * One life of an AMQP connection: it opens once, and once lost it stays lost. Every wait on it ends with its deadline or with
 * the loss, whichever comes first.
 */
export class AmqpConnection {
  readonly tokens: TokenDesk;
  readonly #rhea: RheaConnection;
  readonly #address: string;
  readonly #listeners = new Set<(error: IotError) => void>();
  #lost: IotError | undefined;
  #isClosing = false;
  #hasOpened = false;

  /** @throws IotError `transport.*`, `service.unreachable`, `service.unauthorized` … */
  static async open(dial: Dial, deadline: Deadline): Promise<AmqpConnection> {
    const connection = new AmqpConnection(dial);
    try {
      await deadline.race(connection.#opened());
    } catch (error) {
      connection.#drop();
      throw error;
    }
    return connection;
  }

  private constructor(dial: Dial) {
    this.#address = `${dial.isPlain === true ? "amqp" : "amqps"}://${dial.host}:${dial.port}`;
    // A container of its own, so that nobody's handlers meet.
    const container = rhea.create_container();
    // What nobody asked about, such as the error of a link that is closed already, must not end the process.
    container.on("error", () => {});
    const options = {
      host: dial.host,
      port: dial.port,
      hostname: dial.host,
      reconnect: false,
      idle_time_out: idleMs,
      ...(dial.anonymousAs === undefined ? {} : { username: dial.anonymousAs }),
      ...(dial.isPlain === true
        ? { transport: "tcp" }
        : {
            transport: "tls",
            servername: /^[\d.]+$/u.test(dial.host) ? "" : dial.host,
            ...(dial.ca.length === 0 ? {} : { ca: [...rootCertificates, ...dial.ca] }),
          }),
    } as ConnectionOptions;
    this.#rhea = container.connect(options);
    this.#rhea
      .on("disconnected", (context: EventContext) => {
        const { error } = context as { error?: unknown };
        const message = `The connection to ${this.#address} was lost`;
        this.#lose(
          error === undefined || this.#hasOpened
            ? new IotError("service.link_closed", message, { cause: error })
            : unreachable(this.#address, error),
        );
      })
      .on("connection_error", (context: EventContext) => {
        const { error } = context as unknown as { error?: Condition };
        this.#lose(this.refusal(`${this.#address} closed the connection`, error));
      })
      .on("connection_close", () =>
        this.#lose(new IotError("service.link_closed", `${this.#address} closed the connection`)),
      )
      .on("session_error", (context: EventContext) =>
        this.#lose(
          this.refusal(
            `${this.#address} ended the session`,
            context.session?.error as Condition | undefined,
          ),
        ),
      )
      .on("session_close", () =>
        this.#lose(new IotError("service.link_closed", `${this.#address} ended the session`)),
      )
      .on("protocol_error", (error: Error) => this.#lose(this.#unreadable(error)))
      .on("error", (error: Error) => this.#lose(this.#unreadable(error)));
    this.tokens = new TokenDesk(this);
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Called once, with the reason. */
  onLost(listener: (error: IotError) => void): () => void {
    if (this.#lost !== undefined) listener(this.#lost);
    else this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  refusal(what: string, error: Condition | undefined): IotError {
    return conditionError(what, error, { otherwise: "service.link_closed" });
  }

  /** Resolves when the peer attached; rejects with its reason when it did not. */
  openSender(options: SenderOptions, deadline: Deadline): Promise<Sender> {
    const sender = this.#rhea.open_sender(options);
    return this.#attached(sender, "sender", deadline);
  }

  openReceiver(options: ReceiverOptions, deadline: Deadline): Promise<Receiver> {
    const receiver = this.#rhea.open_receiver(options);
    return this.#attached(receiver, "receiver", deadline);
  }

  /** Ends it in order, and by force after a second. */
  async close(): Promise<void> {
    if (this.#lost !== undefined || this.#isClosing) return;
    this.#isClosing = true;
    this.tokens.stop();
    const closed = new Promise<void>((resolve) => this.onLost(() => resolve()));
    const timer = setTimeout(() => this.#drop(), 1000);
    this.#rhea.close();
    await closed;
    clearTimeout(timer);
  }

  #opened(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#rhea.once("connection_open", () => {
        this.#hasOpened = true;
        resolve();
      });
      this.onLost(reject);
    });
  }

  async #attached<T extends Sender | Receiver>(
    link: T,
    kind: "sender" | "receiver",
    deadline: Deadline,
  ): Promise<T> {
    let forget = (): void => {};
    const settled = new Promise<T>((resolve, reject) => {
      forget = this.onLost(reject);
      const refuse = (): void => {
        const address = kind === "sender" ? link.target?.address : link.source?.address;
        reject(this.refusal(`The link to ${address ?? "the hub"} was refused`, errorOf(link)));
      };
      link.once(`${kind}_error`, refuse);
      link.once(`${kind}_close`, refuse);
      link.once(`${kind}_open`, () => {
        // A peer that refuses attaches without a terminus and then detaches with the reason.
        const terminus = kind === "sender" ? link.target : link.source;
        if (terminus?.address === undefined || terminus.address === null) return;
        // Some detach right behind an attach that looks well.
        setImmediate(() => {
          if (link.is_remote_open()) resolve(link);
        });
      });
    });
    try {
      return await deadline.race(settled);
    } catch (error) {
      if (!link.is_closed()) link.close();
      throw error;
    } finally {
      forget();
    }
  }

  #unreadable(error: Error): IotError {
    const message = `What ${this.#address} sends is no AMQP that can be read: ${error.message}`;
    return new IotError("service.bad_answer", message, { cause: error });
  }

  #lose(error: IotError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.tokens.stop();
    for (const listener of this.#listeners) listener(error);
    this.#listeners.clear();
    // Nothing more is expected of it.
    this.#drop();
  }

  #drop(): void {
    const inner = this.#rhea as unknown as RheaInner;
    inner.socket?.destroy?.();
    stopTimers(inner);
    // It may be in the middle of reading, and set them once more behind that.
    setImmediate(() => stopTimers(inner));
    this.#lose(new IotError("service.link_closed", `The connection to ${this.#address} is closed`));
  }
}

/** Why the peer detached a link. */
export const errorOf = (link: Sender | Receiver): Condition | undefined =>
  link.error as Condition | undefined;

type Timer = ReturnType<typeof setTimeout>;
type RheaInner = { socket?: { destroy?: () => void }; heartbeat_in?: Timer; heartbeat_out?: Timer };

/** rhea takes them away only when the socket ends by itself; left, they keep a process up for a minute. */
function stopTimers({ heartbeat_in, heartbeat_out }: RheaInner): void {
  clearTimeout(heartbeat_in);
  clearTimeout(heartbeat_out);
}
