import { connect } from "@hubwire/device";
import type { DeviceClient } from "@hubwire/device";
import { IotError } from "@hubwire/protocol";
import { seededRandom } from "@hubwire/testkit";
import { VirtualClock } from "@hubwire/transport";
import type { ByteStream, StreamHandler } from "@hubwire/transport";
import { expect, test } from "vitest";

const devices = process.env["HUBWIRE_LONG"] === "1" ? 10_000 : 500;
/** Of all devices, in the worst second: with few devices chance weighs more. */
const peakShare = devices === 10_000 ? 0.15 : 0.2;
/** While nobody is there to be harmed: a refused connection costs a hub nothing, and its network little. */
const awayPeakShare = 0.4;
const seed = Number(process.env["HUBWIRE_SEED"] ?? 1);

const connack = (returnCode: number): Uint8Array => Uint8Array.of(0x20, 2, 0, returnCode);

/** As much of a hub as a herd needs: it counts who knocks, and answers CONNECT. */
class Gate {
  readonly clock = new VirtualClock({ wallMs: Date.UTC(2026, 0, 1) });
  /** When somebody dialled, milliseconds since the hub went away. */
  readonly knocks: number[] = [];
  readonly knocksInVain: number[] = [];
  /** When somebody got in. */
  readonly entries: number[] = [];
  #streams = new Set<GateStream>();
  #goneAtMs = 0;
  #backAtMs = 0;
  /** Connections it lets in per second; the others get CONNACK 3. */
  #perSecond: number;
  #thisSecond = { second: -1, count: 0 };

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  readonly open = (): Promise<ByteStream> => {
    const isAway = this.clock.nowMs() < this.#backAtMs;
    (isAway ? this.knocksInVain : this.knocks).push(this.#sinceMs);
    if (isAway) {
      return Promise.reject(new IotError("transport.refused", "the hub is away"));
    }
    const stream = new GateStream(this.clock, () => this.#answer());
    this.#streams.add(stream);
    return Promise.resolve(stream);
  };

  /** All connections end in the same moment. */
  restart(awayMs: number): void {
    this.#goneAtMs = this.clock.nowMs();
    this.#backAtMs = this.#goneAtMs + awayMs;
    this.knocks.length = 0;
    this.entries.length = 0;
    const streams = this.#streams;
    this.#streams = new Set();
    for (const stream of streams) stream.destroy();
  }

  get #sinceMs(): number {
    return this.clock.nowMs() - this.#goneAtMs;
  }

  #answer(): Uint8Array {
    const second = Math.floor(this.clock.nowMs() / 1_000);
    if (second !== this.#thisSecond.second) this.#thisSecond = { second, count: 0 };
    // Before the restart everybody is welcome at once.
    if (this.#goneAtMs > 0 && ++this.#thisSecond.count > this.#perSecond) return connack(3);
    this.entries.push(this.#sinceMs);
    return connack(0);
  }
}

/** A stream whose other end answers CONNECT and PINGREQ, and takes everything else. */
class GateStream implements ByteStream {
  readonly peer = {
    address: "herd",
    certificate: undefined,
    tlsVersion: undefined,
    serverName: undefined,
  };
  readonly bufferedBytes = 0;
  readonly #clock: VirtualClock;
  readonly #answer: () => Uint8Array;
  #handler: StreamHandler | undefined;
  #closed = false;

  constructor(clock: VirtualClock, answer: () => Uint8Array) {
    this.#clock = clock;
    this.#answer = answer;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
  }

  write(bytes: Uint8Array): boolean {
    const type = (bytes[0] ?? 0) >> 4;
    if (type === 1) this.#say(this.#answer());
    if (type === 12) this.#say(Uint8Array.of(0xd0, 0));
    return true;
  }

  #say(bytes: Uint8Array): void {
    this.#clock.endOfTurn(() => {
      if (!this.#closed) this.#handler?.onBytes(bytes);
    });
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

/** The most in any second, wherever it begins. */
function peakPerSecond(momentsMs: readonly number[]): number {
  const sorted = momentsMs.toSorted((a, b) => a - b);
  let peak = 0;
  let from = 0;
  for (const [to, atMs] of sorted.entries()) {
    while (atMs - (sorted[from] ?? 0) >= 1_000) from += 1;
    peak = Math.max(peak, to - from + 1);
  }
  return peak;
}

test.each([
  { away: "for a moment", awayMs: 0, perSecond: Infinity, backMs: 10_000 },
  { away: "for 20 s", awayMs: 20_000, perSecond: Infinity, backMs: 50_000 },
  {
    away: "for five minutes",
    awayMs: 300_000,
    perSecond: Infinity,

    backMs: 330_000,
  },
  {
    away: "for a moment, and then lets in one in fifty per second",
    awayMs: 0,
    perSecond: devices / 50,

    backMs: 300_000,
  },
])(
  `${devices} devices lose a hub that is away $away: at most ${peakShare * 100} % of them knock in any second, and all are back in time`,
  { timeout: 300_000 },
  async ({ awayMs, perSecond, backMs, away }) => {
    const gate = new Gate(perSecond);
    const { clock } = gate;
    const random = seededRandom(seed);
    const clients: DeviceClient[] = [];
    for (let i = 0; i < devices; i++) {
      clients.push(
        await connect({
          credentials: { hostName: "hub", deviceId: `d${i}`, sharedAccessKey: "MDEyMzQ1Njc4OQ==" },
          waitForConnection: false,
          clock,
          random: () => random.next(),
          openStream: gate.open,
          keepAliveS: 1_177,
          tokenLifetimeS: 86_400,
        }),
      );
    }
    await clock.advance(61_000);
    expect(gate.entries).toHaveLength(devices);
    gate.restart(awayMs);
    await clock.runUntil(() => gate.entries.length === devices, {
      withinMs: backMs,
      eventsMax: 1e8,
    });
    const peak = peakPerSecond(gate.knocks);
    const awayPeak = peakPerSecond(gate.knocksInVain);
    const lastMs = Math.max(...gate.entries);
    process.stdout.write(
      `herd of ${devices}, hub away ${away} (seed ${seed}): ${gate.knocksInVain.length} attempts in vain, at most ${awayPeak}/s, then ${gate.knocks.length} attempts, at most ${peak}/s; last back after ${(lastMs / 1_000).toFixed(1)} s\n`,
    );
    expect(peak).toBeLessThanOrEqual(devices * peakShare);
    expect(awayPeak).toBeLessThanOrEqual(devices * awayPeakShare);
    for (const client of clients) void client.close({ timeoutMs: 0 });
    await clock.settle();
  },
);
