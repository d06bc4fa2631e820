import { ClientSession } from "@hubwire/protocol";
import type { ClientEffect, ConnectRequest, ErrorCode } from "@hubwire/protocol";
import { Driver } from "@hubwire/transport";
import type { ByteStream, CloseCause } from "@hubwire/transport";
import type { Settings } from "../options/settings.ts";

/** What becomes of a line. Nothing is heard of a stream that was left or dropped. */
export interface LineHost {
  effects(effects: readonly ClientEffect[]): void;
  closed(cause: CloseCause): void;
  /** The hub takes bytes again. */
  writable(): void;
}

/** Largest packet a hub sends: a 128 KB method payload, or 64 KB behind a 64 KB topic; with room to spare. */
const packetBytesMax = 512 * 1024;
/** How long a connection that is in doubt (the computer slept, the application asks) has to say anything at all. */
const probeTimeoutMs = 5_000;

/** The MQTT session, which outlives connections, and the stream that carries it at present, if any. */
export class Line {
  readonly session: ClientSession;
  readonly #settings: Settings;
  readonly #host: LineHost;
  #driver: Driver<ClientEffect> | undefined;

  constructor(settings: Settings, host: LineHost) {
    this.#settings = settings;
    this.#host = host;
    this.session = new ClientSession({
      packetBytesMax,
      inflightMax: settings.maxInflight,
      // The attempt has a deadline of its own, which counts from its first step; that one is to be told.
      connackTimeoutMs: settings.attemptTimeoutMs + 1_000,
    });
  }

  get hasStream(): boolean {
    return this.#driver !== undefined;
  }

  /** False while the hub takes less than is sent. */
  get writable(): boolean {
    return this.#driver?.writable ?? false;
  }

  touch(): void {
    this.#driver?.touch();
  }

  flush(): void {
    this.#driver?.flush();
  }

  /** Begins a connection on a fresh stream. */
  open(stream: ByteStream, request: ConnectRequest): void {
    const { clock, receiveMax } = this.#settings;
    this.session.connect(request, clock.nowMs());
    const driver: Driver<ClientEffect> = new Driver<ClientEffect>({
      session: this.session,
      stream,
      clock,
      receiptsMax: receiveMax,
      onEffects: (effects) => {
        if (this.#driver === driver) this.#host.effects(effects);
      },
      onClosed: (cause) => {
        if (this.#driver !== driver) return;
        this.#driver = undefined;
        this.session.lost(clock.nowMs());
        this.#host.closed(cause);
      },
      onWritable: () => {
        if (this.#driver === driver) this.#host.writable();
      },
    });
    this.#driver = driver;
    driver.start();
  }

  /** Anything at all has to arrive within seconds. */
  probe(nowMs: number): void {
    this.session.probe(nowMs, probeTimeoutMs);
    this.touch();
  }

  /** Takes the connection for dead, and says so to its host. */
  kill(code: ErrorCode, reason: string): void {
    this.#driver?.destroy(code, reason);
  }

  /** DISCONNECT, if there is somebody to say it to. */
  leave(nowMs: number): void {
    const driver = this.#driver;
    this.#driver = undefined;
    driver?.apply(this.session.disconnect(nowMs));
    this.session.lost(nowMs);
  }

  /** Cuts the connection without a word. */
  drop(code: ErrorCode, reason: string, nowMs: number): void {
    const driver = this.#driver;
    this.#driver = undefined;
    driver?.destroy(code, reason);
    this.session.lost(nowMs);
  }
}
