/**
 * A client session and server sessions over a simulated cable, in virtual time: bytes arrive in order after a latency, cut
 * into pieces anywhere, until the cable is cut. Between them the smallest device and the smallest hub: the device
 * publishes and handles, the hub commits and has a queue of messages to the device; both take their time.
 */
import { ClientSession, ServerSession } from "@hubwire/protocol";
import type { ClientEffect, ServerEffect, ServerSnapshot } from "@hubwire/protocol";
import { cut } from "./arbitraries.ts";
import type { Random } from "./random.ts";
import { clientOptions, request, serverOptions, textOf } from "./sessions.ts";

type Direction = "toServer" | "toClient";

/** Everything that happened, for the checks. */
export type PairLog = {
  /** What travelled, per connection, as handed to the cable; bytes behind a cut are here too. */
  wire: { connection: number; direction: Direction; bytes: Uint8Array }[];
  /** Texts in the order the device sent them, and the hub enqueued them. */
  sent: string[];
  enqueued: string[];
  /** Texts the hub committed, in order, repetitions included. */
  committed: string[];
  /** Texts the device's session reported as acknowledged. */
  published: string[];
  /** Texts handed to the device's handler, and those it finished. */
  handed: string[];
  handled: string[];
  /** Texts handed over while the handler still had them. */
  doubled: string[];
  /** Texts of the hub's queue that were acknowledged. */
  completed: string[];
  closes: string[];
};

export type PairOptions = {
  random: Random;
  latencyMs: number;
  /** Longest time the hub takes to commit and the handler takes to finish. */
  workMs: number;
  inflightMax: number;
};

export class Pair {
  nowMs = 0;
  readonly client: ClientSession;
  server: ServerSession | undefined;
  connection = 0;
  readonly log: PairLog = {
    wire: [],
    sent: [],
    enqueued: [],
    committed: [],
    published: [],
    handed: [],
    handled: [],
    doubled: [],
    completed: [],
    closes: [],
  };
  readonly #options: PairOptions;
  readonly #events: { atMs: number; order: number; run: () => void }[] = [];
  #order = 0;
  /** Last arrival per direction: a cable keeps its order. */
  #arrivalMs = { toServer: 0, toClient: 0 };
  readonly #outbox: { text: string; qos: 0 | 1 }[] = [];
  readonly #sent = new Map<number, string>();
  /** The hub's queue to the device: what is not handed to a server session yet. */
  #queue: string[] = [];
  readonly #locked = new Map<number, string>();
  #snapshot: ServerSnapshot | undefined;
  readonly #handling = new Set<string>();
  #hasSession = false;
  /** Whether the hub has accepted the present connection. */
  #isOpen = false;

  constructor(options: PairOptions) {
    this.#options = options;
    const firstPacketId = 1 + options.random.below(65_535);
    const { inflightMax } = options;
    this.client = new ClientSession({ ...clientOptions, inflightMax, firstPacketId });
  }

  /** The device wants a message sent. */
  send(text: string, qos: 0 | 1): void {
    this.#outbox.push({ text, qos });
    this.log.sent.push(text);
    this.#settle();
  }

  /** The hub has a message for the device. */
  enqueue(text: string): void {
    this.#queue.push(text);
    this.log.enqueued.push(text);
    this.#settle();
  }

  connect(): void {
    const { random, inflightMax } = this.#options;
    this.connection++;
    const options = { ...serverOptions, inflightMax, firstPacketId: 1 + random.below(65_535) };
    this.server = new ServerSession(options, this.nowMs);
    this.#arrivalMs = { toServer: this.nowMs, toClient: this.nowMs };
    this.client.connect(request, this.nowMs);
    this.#settle();
  }

  /** The cable breaks: whatever is on it is gone. */
  cut(): void {
    if (this.server === undefined) return;
    // A session that was never accepted has taken over nothing.
    if (this.#isOpen) this.#snapshot = this.server.snapshot();
    this.#isOpen = false;
    this.server = undefined;
    this.client.lost(this.nowMs);
    this.connection++;
  }

  /** As `cut`, and the hub forgets packet identifiers: locked messages are at the head of its queue again. */
  restartHub(): void {
    this.cut();
    this.#snapshot = undefined;
    this.#queue = [...this.#locked.values(), ...this.#queue];
    this.#locked.clear();
  }

  later(delayMs: number, run: () => void): void {
    this.#events.push({ atMs: this.nowMs + delayMs, order: this.#order++, run });
  }

  /** Runs to the given time, from event to event and deadline to deadline. */
  runUntil(untilMs: number): void {
    for (;;) {
      const event = this.#events.toSorted((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      const deadlineMs = Math.min(this.client.deadlineMs, this.server?.deadlineMs ?? Infinity);
      const nextMs = Math.min(event?.atMs ?? Infinity, deadlineMs);
      if (nextMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, nextMs);
      if (event !== undefined && event.atMs <= this.nowMs) {
        this.#events.splice(this.#events.indexOf(event), 1);
        event.run();
      }
      this.#clientEffects(this.client.tick(this.nowMs));
      if (this.server !== undefined) this.#serverEffects(this.server.tick(this.nowMs));
      this.#settle();
    }
    this.nowMs = untilMs;
  }

  /** Everything that can go out now goes out. */
  #settle(): void {
    const { client, server } = this;
    while (client.connected && client.windowFree > 0) {
      const next = this.#outbox.shift();
      if (next === undefined) break;
      const payload = new Uint8Array(Buffer.from(next.text));
      const packetId = client.publish({ topic: "d2c", payload, qos: next.qos }, this.nowMs);
      if (packetId !== 0) this.#sent.set(packetId, next.text);
    }
    while (
      this.#isOpen &&
      server !== undefined &&
      server.windowFree > 0 &&
      this.#queue.length > 0
    ) {
      const text = this.#queue.shift()!;
      const payload = new Uint8Array(Buffer.from(text));
      this.#locked.set(server.publish({ topic: "c2d", payload, qos: 1 }, this.nowMs), text);
    }
    this.#transmit("toServer", client.takeOutput());
    this.#transmit("toClient", server?.takeOutput());
  }

  #transmit(direction: Direction, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) return;
    const { random, latencyMs } = this.#options;
    const { connection } = this;
    this.log.wire.push({ connection, direction, bytes });
    const places = Array.from({ length: random.below(3) }, () => random.below(bytes.length + 1));
    for (const chunk of cut(bytes, places)) {
      const atMs = this.nowMs + latencyMs + random.below(latencyMs + 1);
      this.#arrivalMs[direction] = Math.max(this.#arrivalMs[direction], atMs);
      this.later(this.#arrivalMs[direction] - this.nowMs, () => {
        if (connection === this.connection) this.#arrive(direction, chunk);
      });
    }
  }

  #arrive(direction: Direction, chunk: Uint8Array): void {
    if (direction === "toClient") this.#clientEffects(this.client.receive(chunk, this.nowMs));
    else if (this.server !== undefined) {
      this.#serverEffects(this.server.receive(chunk, this.nowMs));
    }
    this.#settle();
  }

  #work(run: () => void): void {
    this.later(this.#options.random.below(this.#options.workMs + 1), () => {
      run();
      this.#settle();
    });
  }

  #clientEffects(effects: readonly ClientEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "message") {
        const text = textOf(effect);
        this.log.handed.push(text);
        if (this.#handling.has(text)) this.log.doubled.push(text);
        this.#handling.add(text);
        this.#work(() => {
          this.log.handled.push(text);
          this.#handling.delete(text);
          this.client.ack(effect.receipt);
        });
      } else if (effect.type === "published") {
        this.log.published.push(this.#sent.get(effect.packetId) ?? "?");
        this.#sent.delete(effect.packetId);
      } else if (effect.type === "close") {
        this.log.closes.push(effect.code);
        this.cut();
      }
    }
  }

  #serverEffects(effects: readonly ServerEffect[]): void {
    const { server } = this;
    for (const effect of effects) {
      if (effect.type === "connect") {
        this.#work(() => {
          if (server !== this.server || server === undefined) return;
          this.#isOpen = true;
          const sessionPresent = this.#hasSession;
          this.#hasSession = true;
          const inflight = this.#snapshot === undefined ? {} : { inflight: this.#snapshot };
          const acceptance = { sessionPresent, keepAliveTimeoutMs: 90_000, ...inflight };
          this.#serverEffects(server.accept(acceptance, this.nowMs));
        });
      } else if (effect.type === "message") {
        const text = textOf(effect);
        this.log.committed.push(text);
        // Commits begin in order; they may finish in any.
        this.#work(() => server?.ack(effect.receipt));
      } else if (effect.type === "published") {
        this.log.completed.push(this.#locked.get(effect.packetId) ?? "?");
        this.#locked.delete(effect.packetId);
      } else if (effect.type === "close") {
        this.log.closes.push(effect.code);
        this.cut();
      }
    }
  }
}
