import { IotError } from "@hubwire/protocol";
import type { ByteStream, Timer } from "@hubwire/transport";
import { attachLink } from "./attach.ts";
import { toAmqpError } from "./conditions.ts";
import { FrameSplitter } from "./frame-splitter.ts";
import { Grants } from "./grants.ts";
import type { LinkHost, LinkService } from "./link.ts";
import { OutgoingTransfers } from "./outgoing.ts";
import type { AmqpParts } from "./parts.ts";
import { guardConnection } from "./guards.ts";
import { rhea } from "./rhea.ts";
import type {
  IncomingDelivery,
  RheaConnection,
  RheaMessage,
  RheaReceiver,
  RheaSender,
  RheaSession,
} from "./rhea.ts";
import { saslMechanisms } from "./sasl.ts";
import { StreamSocket } from "./stream-socket.ts";

type Link = RheaSender | RheaReceiver;
type Context = { sender?: RheaSender; receiver?: RheaReceiver; session: RheaSession };
type MessageContext = Context & { message: RheaMessage; delivery: IncomingDelivery };

/** A peer's frames are no larger than this, whatever it takes (bytes). */
const outgoingFrameBytesMax = 1_048_576;

/**
 * One AMQP connection, from its first byte to the end. rhea keeps the protocol's state; this cuts its input into whole
 * frames, holds the bounds, and gives every link a service. Nothing a peer sends reaches beyond its own connection.
 */
export class AmqpConnection implements LinkHost {
  readonly parts: AmqpParts;
  readonly grants: Grants;
  readonly socket: StreamSocket;
  readonly #stream: ByteStream;
  readonly #onGone: () => void;
  readonly #splitter: FrameSplitter;
  readonly #connection: RheaConnection;
  readonly #services = new Map<Link, LinkService>();
  readonly #oversize: WeakSet<object>;
  #state: "opening" | "open" | "closing" | "over" = "opening";
  #hasHeader = false;
  #isFeeding = false;
  #openTimer: Timer | undefined;
  #frameTimer: Timer | undefined;

  constructor(parts: AmqpParts, stream: ByteStream, onGone: () => void) {
    const { clock, limits } = parts;
    this.parts = parts;
    this.#stream = stream;
    this.#onGone = onGone;
    this.socket = new StreamSocket(stream, clock);
    this.#splitter = new FrameSplitter(limits.frameBytesMax);
    this.grants = new Grants(clock, limits.tokensMax, () => this.#detachUnauthorized());
    const container = rhea.create_container({ id: parts.hubName });
    container.sasl_server_mechanisms = saslMechanisms({
      hasCertificate: stream.peer.certificate !== undefined,
      tokens: parts.tokens,
      onGrant: (grant) => {
        this.grants.put("SASL", grant);
        this.trusted();
      },
    });
    this.#connection = container.create_connection({
      reconnect: false,
      autoaccept: false,
      autosettle: false,
      credit_window: 0,
      container_id: parts.hubName,
      max_frame_size: limits.frameBytesMax,
      channel_max: limits.sessionsMax - 1,
      idle_time_out: limits.idleTimeoutMs,
    });
    this.#oversize = guardConnection(this.#connection, limits, (session) =>
      this.#makeOutgoing(session),
    );
    this.#listen();
  }

  start(): void {
    const { clock, limits } = this.parts;
    this.#openTimer = clock.at(clock.nowMs() + limits.openTimeoutMs, () => {
      this.#stream.destroy();
    });
    this.#connection.accept(this.socket);
    this.#stream.start({
      onBytes: (bytes) => this.#onBytes(bytes),
      onDrain: () => this.#onDrain(),
      onClosed: (error) => this.#onClosed(error),
    });
  }

  /** Says good-bye; the stream ends when the peer has answered, or after `stopTimeoutMs`. */
  stop(error: IotError): void {
    this.#fail(error);
  }

  // ---- LinkHost ----

  outgoing(link: RheaSender): OutgoingTransfers {
    return link.session.outgoing as OutgoingTransfers;
  }

  replyLink(
    request: RheaReceiver,
    source: string,
    replyTo: string | undefined,
  ): RheaSender | undefined {
    let found: RheaSender | undefined;
    for (const link of this.#services.keys()) {
      if (link.is_receiver() || !link.is_open()) continue;
      const sender = link as RheaSender;
      if ((sender.source?.address ?? "").toLowerCase() !== source) continue;
      if (replyTo !== undefined && sender.target?.address === replyTo) return sender;
      if (found === undefined || sender.session === request.session) found = sender;
    }
    return found;
  }

  detach(link: Link, error: unknown): void {
    link.close(toAmqpError(error));
    this.#dispose(link);
  }

  trusted(): void {
    if (this.#state !== "open") return;
    this.#openTimer?.cancel();
    this.#openTimer = undefined;
  }

  // ---- bytes in ----

  #onBytes(bytes: Uint8Array): void {
    if (this.#state === "over") return;
    this.#splitter.push(bytes);
    this.#feed();
  }

  #feed(): void {
    if (this.#isFeeding) return;
    this.#isFeeding = true;
    try {
      for (;;) {
        const next = this.#splitter.next();
        if (next === undefined) break;
        if (next.isHeader && this.#hasHeader) {
          // Behind SASL. rhea takes up the outcome in a later turn; a peer that does not wait for it is not to blame.
          this.parts.clock.endOfTurn(() => {
            this.#isFeeding = false;
            this.#input(next.unit);
            this.#feed();
          });
          return;
        }
        this.#hasHeader ||= next.isHeader;
        this.#input(next.unit);
        if (this.#state === "over") return;
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#isFeeding = false;
    this.#watchFrame();
  }

  #input(unit: Buffer): void {
    if (this.#state !== "over") this.socket.emit("data", unit);
  }

  #watchFrame(): void {
    const { clock, limits } = this.parts;
    if (!this.#splitter.isInside) {
      this.#frameTimer?.cancel();
      this.#frameTimer = undefined;
      return;
    }
    this.#frameTimer ??= clock.at(clock.nowMs() + limits.frameTimeoutMs, () => {
      this.#fail(new IotError("amqp.idle", "A frame was begun and not finished"));
    });
  }

  #onDrain(): void {
    this.socket.writable = true;
    this.#stream.resume();
    for (const service of this.#services.values()) service.onRoom?.();
  }

  #onClosed(error: Error | undefined): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#openTimer?.cancel();
    this.#frameTimer?.cancel();
    this.grants.close();
    for (const link of this.#services.keys()) this.#dispose(link);
    this.socket.emit("end", error);
    this.#connection.removeAllListeners();
    this.#onGone();
  }

  // ---- what rhea tells ----

  #listen(): void {
    const connection = this.#connection;
    const on = (event: string, listener: (context: Context) => void): void =>
      connection.on(event, listener as (context: never) => void);
    on("connection_open", () => this.#opened());
    on("sender_open", ({ sender }) => this.#attached(sender!));
    on("receiver_open", ({ receiver }) => this.#attached(receiver!));
    for (const event of ["sender_close", "sender_error"]) {
      on(event, ({ sender }) => this.#dispose(sender!));
    }
    for (const event of ["receiver_close", "receiver_error"]) {
      on(event, ({ receiver }) => this.#dispose(receiver!));
    }
    for (const event of ["session_close", "session_error"]) {
      on(event, ({ session }) => {
        for (const link of this.#services.keys()) {
          if (link.session === session) this.#dispose(link);
        }
      });
    }
    connection.on("message", (({ receiver, message, delivery }: MessageContext) => {
      const isOversize = this.#oversize.delete(receiver!);
      this.#services.get(receiver!)?.onMessage?.(message, delivery, isOversize);
    }) as (context: never) => void);
    on("sender_draining", ({ sender }) => this.#services.get(sender!)?.onDrain?.());
    for (const event of ["connection_close", "connection_error"]) on(event, () => this.#closing());
    connection.on("protocol_error", ((error: Error) => {
      this.#fail(new IotError("amqp.bad_frame", error.message, { cause: error }));
    }) as (context: never) => void);
    connection.on("error", ((error: Error) => {
      this.#fail(error instanceof IotError ? error : new IotError("amqp.bad_frame", error.message));
    }) as (context: never) => void);
    on("disconnected", () => {});
  }

  #opened(): void {
    const { clock, limits } = this.parts;
    this.#state = "open";
    this.#openTimer?.cancel();
    this.#openTimer = undefined;
    if (!this.grants.isEmpty) return;
    this.#openTimer = clock.at(clock.nowMs() + limits.tokenTimeoutMs, () => {
      this.#fail(new IotError("amqp.idle", "No token was put in time"));
    });
  }

  #attached(link: Link): void {
    try {
      this.#services.set(link, attachLink(this, link));
    } catch (error) {
      // A refused attach is answered without the terminus that could not be had, then detached.
      link.close(toAmqpError(error));
      const { logger } = this.parts;
      const reason = error instanceof Error ? error.message : String(error);
      logger.debug({ event: "amqp_link_refused", reason }, "An AMQP link was refused");
    }
  }

  #dispose(link: Link): void {
    const service = this.#services.get(link);
    if (service === undefined) return;
    this.#services.delete(link);
    if (!link.is_receiver()) this.outgoing(link as RheaSender).forget(link as RheaSender);
    service.dispose?.();
  }

  #detachUnauthorized(): void {
    for (const [link, { need }] of this.#services) {
      if (need === undefined) continue;
      try {
        this.grants.require(need);
      } catch (error) {
        this.detach(link, error);
      }
    }
  }

  #makeOutgoing(session: RheaSession): OutgoingTransfers {
    const { remote } = this.#connection;
    return new OutgoingTransfers(session, this.socket, {
      frameBytesMax: () =>
        Math.min(remote.open?.max_frame_size ?? outgoingFrameBytesMax, outgoingFrameBytesMax),
      unsettledMax: this.parts.limits.unsettledMax,
      onWindow: () => {
        for (const [link, service] of this.#services) {
          if (link.session === session) service.onRoom?.();
        }
      },
    });
  }

  // ---- the end ----

  #closing(): void {
    if (this.#state === "over") return;
    this.#state = "closing";
    for (const link of this.#services.keys()) this.#dispose(link);
  }

  #fail(error: unknown): void {
    if (this.#state === "closing" || this.#state === "over") return;
    const { clock, limits, logger } = this.parts;
    const condition = toAmqpError(error);
    logger.debug(
      { event: "amqp_closed", address: this.#stream.peer.address, ...condition },
      "An AMQP connection was closed",
    );
    this.#closing();
    try {
      this.#connection.close(condition);
      this.#connection._process();
    } catch {
      // The close itself could not be said: the stream's end says it.
    }
    this.#openTimer?.cancel();
    this.#openTimer = clock.at(clock.nowMs() + limits.stopTimeoutMs, () => this.#stream.end());
    if (!this.#connection.is_remote_open()) this.socket.end();
  }
}
