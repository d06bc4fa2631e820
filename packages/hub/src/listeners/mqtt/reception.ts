import { describe, IotError, ServerSession } from "@hubwire/protocol";
import type { CloseEffect, ConnectRequest, ErrorCode, ServerEffect } from "@hubwire/protocol";
import { Driver } from "@hubwire/transport";
import type { ByteStream, CloseCause } from "@hubwire/transport";
import { isShownId } from "../../domain/auth/index.ts";
import { countCode } from "../../domain/observe.ts";
import type { Admission, ConnectAttempt } from "../../domain/services.ts";
import { DeviceConnection } from "./device-connection.ts";
import type { Wire } from "./device-connection.ts";
import { GatedSession } from "./gated-session.ts";
import { keepAliveTimeoutMs } from "./limits.ts";
import type { MqttParts } from "./parts.ts";

/** What the listener tells a new connection and wants to hear from it. */
export type House = {
  /** Why nobody may come in at the moment. */
  closedFor(): IotError | undefined;
  nextConnectionId(): number;
  onGone(reception: Reception): void;
};

/**
 * A stream from its first byte to CONNACK: reads CONNECT, has it authenticated, takes the session over, answers. From
 * then on everything goes to the `DeviceConnection`. A CONNECT that is refused makes exactly one log line.
 */
export class Reception {
  readonly #parts: MqttParts;
  readonly #house: House;
  readonly #stream: ByteStream;
  readonly #wire: Wire;
  #device: DeviceConnection | undefined;
  #clientId: string | undefined;
  #isAnswered = false;
  #isClosed = false;

  constructor(parts: MqttParts, house: House, stream: ByteStream) {
    this.#parts = parts;
    this.#house = house;
    this.#stream = stream;
    const { limits, clock } = parts;
    const session = new ServerSession(
      {
        packetBytesMax: limits.packetBytesMax,
        connectTimeoutMs: limits.connectTimeoutMs,
        inflightMax: limits.c2dWindow,
        pendingBytesMax: limits.pipelinedBytesMax,
        firstPacketId: parts.randomPacketId(),
      },
      clock.nowMs(),
    );
    const gate = new GatedSession(session);
    const driver = new Driver<ServerEffect>({
      session: gate,
      stream,
      clock,
      receiptsMax: limits.receiptsMax,
      bufferedBytesMax: limits.bufferedBytesMax,
      slowReaderTimeoutMs: limits.slowReaderTimeoutMs,
      onEffects: (effects) => this.#onEffects(effects),
      onClosed: (cause) => this.#onClosed(cause),
      onWritable: () => this.#device?.onWritable(),
    });
    this.#wire = { session, gate, driver };
  }

  start(): void {
    this.#parts.metrics.streams++;
    this.#wire.driver.start();
  }

  /** The hub stops: takes nothing more in, and resolves when what was taken in is answered. */
  async finishWork(): Promise<void> {
    if (this.#isAnswered && this.#device !== undefined) await this.#device.finishWork();
  }

  close(code: ErrorCode, reason: string): void {
    if (this.#device === undefined) this.#wire.driver.close(code, reason);
    else this.#device.close(code, reason);
  }

  #onEffects(effects: readonly (ServerEffect | CloseEffect)[]): void {
    if (this.#device !== undefined && this.#isAnswered) return this.#device.onEffects(effects);
    const first = effects[0];
    if (first?.type === "connect") void this.#receive(first.request);
  }

  async #receive(request: ConnectRequest): Promise<void> {
    this.#clientId = isShownId(request.clientId) ? request.clientId : "(not an id)";
    const attempt = this.#parts.connections.beginAttempt();
    try {
      await this.#admit(request, attempt);
    } catch (error) {
      this.#refuse(error);
    } finally {
      this.#parts.connections.endAttempt(attempt);
    }
  }

  async #admit(request: ConnectRequest, attempt: symbol): Promise<void> {
    const { authenticator, connections, c2d, clock } = this.#parts;
    const closed = this.#house.closedFor();
    if (closed !== undefined) throw closed;
    const admission = await authenticator.authenticateDevice(attemptOf(request, this.#stream));
    if (this.#isClosed) return;
    const { cleanSession } = request;
    const timeoutMs = keepAliveTimeoutMs(request.keepAliveS);
    const device = new DeviceConnection(this.#parts, this.#wire, admission, {
      connectionId: this.#house.nextConnectionId(),
      cleanSession,
      keepAliveTimeoutMs: timeoutMs,
    });
    if (request.will !== undefined) device.setWill(checkedWill(request.will));
    // From here on the registry may close it, and must hear when it is over.
    this.#device = device;
    const { sessionPresent, subscriptions } = await connections.open(device, {
      cleanSession,
      attempt,
    });
    if (this.#isClosed) return;
    device.subscriptions.restore(subscriptions);
    const { channel, resend } = await c2d.attach(device, { cleanSession });
    device.setChannel(channel);
    if (this.#isClosed) return;
    this.#isAnswered = true;
    const effects = this.#wire.session.accept(
      {
        sessionPresent,
        keepAliveTimeoutMs: timeoutMs,
        ...(resend !== undefined && { inflight: resend }),
      },
      clock.nowMs(),
    );
    device.accepted(admission);
    this.#welcome(request, admission, sessionPresent);
    this.#wire.driver.apply(effects);
    device.start();
  }

  #welcome(request: ConnectRequest, admission: Admission, sessionPresent: boolean): void {
    const { logger, metrics, onModel } = this.#parts;
    metrics.connects++;
    const { address, tlsVersion } = this.#stream.peer;
    const { clientId, cleanSession, keepAliveS } = request;
    const facts = { clientId, address, connectionId: this.#device?.connectionId };
    if (admission.warning !== undefined) {
      logger.warn({ event: "connect_tolerated", ...facts }, admission.warning);
    }
    logger.info(
      { event: "connected", ...facts, cleanSession, keepAliveS, sessionPresent, tlsVersion },
      "Device connected",
    );
    const { ref, generationId, modelId } = admission;
    if (modelId === undefined || onModel === undefined) return;
    onModel(ref, generationId, modelId).catch((error: unknown) => {
      logger.warn(
        { event: "model_not_stored", reason: String(error), ...facts },
        "A model id was lost",
      );
    });
  }

  #refuse(error: unknown): void {
    if (this.#isClosed) return;
    const known = error instanceof IotError;
    const code: ErrorCode = known ? error.code : "hub.internal";
    if (!known) {
      this.#parts.logger.error(
        { event: "internal_error", error, clientId: this.#clientId },
        "A CONNECT failed in a way the hub did not foresee",
      );
    }
    if (this.#isAnswered) return this.close(code, String(error));
    this.#isClosed = true;
    this.#logRefusal(code, known ? error.message : String(error));
    const { connack } = describe(code);
    const { session, driver } = this.#wire;
    // Without a face on CONNACK the socket is just closed, as for a takeover.
    if (connack === undefined) driver.close(code, String(error));
    else driver.apply(session.refuse(connack, this.#parts.clock.nowMs()));
  }

  #onClosed(cause: CloseCause): void {
    this.#parts.metrics.streams--;
    if (!this.#isAnswered && !this.#isClosed) this.#endedUnanswered(cause);
    this.#isClosed = true;
    this.#device?.onClosed(cause);
    this.#house.onGone(this);
  }

  #endedUnanswered(cause: CloseCause): void {
    if (cause.by === "session") return this.#logRefusal(cause.code, cause.reason);
    const { address } = this.#stream.peer;
    const reason = cause.error?.message ?? "the client closed the connection";
    this.#parts.logger.debug(
      { event: "connection_abandoned", clientId: this.#clientId, address, reason },
      "A client went away before its CONNECT was answered",
    );
  }

  #logRefusal(code: ErrorCode, reason: string): void {
    const { logger, metrics } = this.#parts;
    countCode(metrics.connectsRefused, code);
    const { address, tlsVersion } = this.#stream.peer;
    const { remedy } = describe(code);
    logger.warn(
      {
        event: "connect_refused",
        code,
        reason,
        remedy,
        clientId: this.#clientId,
        address,
        tlsVersion,
      },
      "A CONNECT was refused",
    );
  }
}

/** Passwords are tokens, which are ASCII; anything else fails as a malformed token, not as bad UTF-8. */
function attemptOf(request: ConnectRequest, { peer }: ByteStream): ConnectAttempt {
  const { password } = request;
  return {
    clientId: request.clientId,
    username: request.username,
    password: password === undefined ? undefined : Buffer.from(password).toString("latin1"),
    cleanSession: request.cleanSession,
    keepAliveS: request.keepAliveS,
    will: request.will,
    certificate: peer.certificate,
    address: peer.address,
  };
}

type Will = NonNullable<ConnectRequest["will"]>;

function checkedWill(will: Will): Will {
  if (will.qos === 2) throw new IotError("mqtt.qos2", "The will asks for QoS 2");
  return will;
}
