import { IotError, ServerSession } from "@hubwire/protocol";
import { VirtualClock } from "@hubwire/transport";
import type { ByteStream, StreamHandler } from "@hubwire/transport";

/** How it is not there: nobody listens, or its name cannot be resolved. */
export type Absence = "refused" | "dns";
/** What those get for whom there is no room in this second: CONNACK 3, or nothing at all. */
export type Overflow = "connack 3" | "silence";

/** A resolver without a network gives up after this long. */
export const resolverMs = 5_000;

type Answer = "welcome" | Overflow;

/** As much of a hub as a herd needs: it counts who knocks, answers CONNECT, SUBSCRIBE and PINGREQ, and nothing else. */
export class HerdHub {
  readonly clock = new VirtualClock({ wallMs: Date.UTC(2026, 0, 1) });
  /** When somebody tried, milliseconds since the hub went away: while it was away, and afterwards. */
  readonly inVain: number[] = [];
  readonly knocks: number[] = [];
  /** When somebody got in. */
  readonly entries: number[] = [];
  #streams = new Set<HerdStream>();
  #goneAtMs: number | undefined;
  #backAtMs = 0;
  #absence: Absence = "refused";
  readonly #perSecond: number;
  readonly #overflow: Overflow;
  #thisSecond = { second: -1, count: 0 };

  constructor({ perSecond, overflow }: { perSecond: number; overflow: Overflow }) {
    this.#perSecond = perSecond;
    this.#overflow = overflow;
  }

  readonly open = async (): Promise<ByteStream> => {
    if (this.clock.nowMs() < this.#backAtMs) {
      this.inVain.push(this.#sinceMs);
      if (this.#absence === "refused") throw new IotError("transport.refused", "nobody listens");
      await this.clock.sleep(resolverMs);
      throw new IotError("transport.dns", "the name cannot be resolved now");
    }
    this.knocks.push(this.#sinceMs);
    const stream = new HerdStream(this.clock, () => this.#answer());
    this.#streams.add(stream);
    return stream;
  };

  /** All connections end in the same moment. */
  leave(absence: Absence, awayMs: number): void {
    this.#goneAtMs = this.clock.nowMs();
    this.#backAtMs = this.#goneAtMs + awayMs;
    this.#absence = absence;
    this.knocks.length = 0;
    this.entries.length = 0;
    const streams = this.#streams;
    this.#streams = new Set();
    for (const stream of streams) stream.destroy();
  }

  get #sinceMs(): number {
    return this.clock.nowMs() - (this.#goneAtMs ?? 0);
  }

  #answer(): Answer {
    const second = Math.floor(this.clock.nowMs() / 1_000);
    if (second !== this.#thisSecond.second) this.#thisSecond = { second, count: 0 };
    // Before it went away everybody is welcome at once.
    if (this.#goneAtMs !== undefined && ++this.#thisSecond.count > this.#perSecond) {
      return this.#overflow;
    }
    this.entries.push(this.#sinceMs);
    return "welcome";
  }
}

/** The device's end of a connection whose other end is a session that is told what to answer. */
class HerdStream implements ByteStream {
  readonly peer = {
    address: "herd",
    certificate: undefined,
    tlsVersion: undefined,
    serverName: undefined,
  };
  readonly bufferedBytes = 0;
  readonly #clock: VirtualClock;
  readonly #answer: () => Answer;
  readonly #session: ServerSession;
  #handler: StreamHandler | undefined;
  #closed = false;

  constructor(clock: VirtualClock, answer: () => Answer) {
    this.#clock = clock;
    this.#answer = answer;
    this.#session = new ServerSession(
      { packetBytesMax: 4_096, connectTimeoutMs: 30_000, inflightMax: 1, pendingBytesMax: 4_096 },
      clock.nowMs(),
    );
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
  }

  write(bytes: Uint8Array): boolean {
    const session = this.#session;
    const nowMs = this.#clock.nowMs();
    for (const effect of session.receive(bytes.slice(), nowMs)) {
      if (effect.type === "connect") this.#connect();
      else if (effect.type === "subscribe") {
        session.suback(
          effect.packetId,
          effect.filters.map(() => 1),
        );
      } else if (effect.type === "close") this.destroy();
    }
    const output = session.takeOutput();
    if (output !== undefined) {
      this.#clock.endOfTurn(() => {
        if (!this.#closed) this.#handler?.onBytes(output);
      });
    }
    return true;
  }

  #connect(): void {
    const answer = this.#answer();
    const nowMs = this.#clock.nowMs();
    if (answer === "silence") return;
    if (answer === "welcome") {
      this.#session.accept({ sessionPresent: true, keepAliveTimeoutMs: Infinity }, nowMs);
      return;
    }
    this.#session.refuse(3, nowMs);
    this.#clock.at(nowMs + 1, () => this.destroy());
  }

  pause(): void {}
  resume(): void {}

  end(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#clock.endOfTurn(() => this.#handler?.onClosed(undefined));
  }
}
