import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

export type CuttingProxyOptions = { targetPort: number; targetHost?: string };

/** `toServer` is what clients send. */
export type ProxyDirection = "toServer" | "toClient" | "both";

/**
 * A TCP proxy between a real client and a real server, for everything a network does to them. It listens on a free loopback
 * port; what is said to it holds for all its connections, those to come included, until `heal`.
 */
export class CuttingProxy implements AsyncDisposable {
  readonly host = "127.0.0.1";
  readonly port: number;
  readonly #server: Server;
  readonly #pairs: Set<Pair>;
  readonly #weather: Weather;

  private constructor(server: Server, pairs: Set<Pair>, weather: Weather) {
    this.#server = server;
    this.#pairs = pairs;
    this.#weather = weather;
    this.port = (server.address() as AddressInfo).port;
  }

  static start(options: CuttingProxyOptions): Promise<CuttingProxy> {
    const pairs = new Set<Pair>();
    const weather: Weather = {
      delayMs: 0,
      stalled: new Set(),
      dropped: new Set(),
      refusing: false,
    };
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
      if (weather.refusing) return void client.resetAndDestroy();
      const target = {
        host: options.targetHost ?? "127.0.0.1",
        port: options.targetPort,
        noDelay: true,
      };
      const pair = new Pair(client, connect({ ...target, allowHalfOpen: true }), weather, () =>
        pairs.delete(pair),
      );
      pairs.add(pair);
    });
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", () => resolve(new CuttingProxy(server, pairs, weather)));
    });
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Chunks that were read and wait for their delay. */
  get held(): number {
    let count = 0;
    for (const pair of this.#pairs) count += pair.held;
    return count;
  }

  /** Resets connections: both ends notice, or only one and the other is left half-open. */
  cut(noticedBy: "both" | "client" | "server" = "both"): void {
    for (const pair of this.#pairs) pair.cut(noticedBy);
  }

  /** Bytes wait in the proxy until `heal`. */
  stall(direction: ProxyDirection = "both"): void {
    for (const one of directionsOf(direction)) this.#weather.stalled.add(one);
    for (const pair of this.#pairs) pair.update();
  }

  /** Bytes are read and thrown away: neither end can tell by TCP. */
  drop(direction: ProxyDirection = "both"): void {
    for (const one of directionsOf(direction)) this.#weather.dropped.add(one);
  }

  /** Everything arrives so much later, in order. */
  delay(ms: number): void {
    this.#weather.delayMs = ms;
  }

  /** New connections are reset at once. */
  refuse(): void {
    this.#weather.refusing = true;
  }

  /** Good weather again, for connections that still live and for new ones. */
  heal(): void {
    this.#weather.stalled.clear();
    this.#weather.dropped.clear();
    this.#weather.delayMs = 0;
    this.#weather.refusing = false;
    for (const pair of this.#pairs) pair.update();
  }

  async close(): Promise<void> {
    for (const pair of this.#pairs) pair.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

type OneWay = "toServer" | "toClient";
type Weather = { delayMs: number; stalled: Set<OneWay>; dropped: Set<OneWay>; refusing: boolean };

function directionsOf(direction: ProxyDirection): readonly OneWay[] {
  return direction === "both" ? ["toServer", "toClient"] : [direction];
}

/** One client and its connection to the server. */
class Pair {
  readonly #client: Socket;
  readonly #target: Socket;
  readonly #weather: Weather;
  readonly #onGone: () => void;
  readonly #waiting: { dueMs: number; what: () => void }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #abandoned: Socket | undefined;

  constructor(client: Socket, target: Socket, weather: Weather, onGone: () => void) {
    this.#client = client;
    this.#target = target;
    this.#weather = weather;
    this.#onGone = onGone;
    this.#forward(client, target, "toServer");
    this.#forward(target, client, "toClient");
    this.update();
  }

  get held(): number {
    return this.#waiting.length;
  }

  cut(noticedBy: "both" | "client" | "server"): void {
    if (noticedBy === "client") this.#abandoned = this.#target;
    if (noticedBy === "server") this.#abandoned = this.#client;
    if (noticedBy !== "server") this.#client.resetAndDestroy();
    if (noticedBy !== "client") this.#target.resetAndDestroy();
  }

  destroy(): void {
    this.#abandoned = undefined;
    this.#client.destroy();
    this.#target.destroy();
    this.#settle();
  }

  update(): void {
    for (const [socket, direction] of [
      [this.#client, "toServer"],
      [this.#target, "toClient"],
    ] as const) {
      if (this.#weather.stalled.has(direction)) socket.pause();
      else socket.resume();
    }
  }

  #forward(from: Socket, to: Socket, direction: OneWay): void {
    from.on("data", (bytes) => {
      // An abandoned end keeps talking to nobody.
      if (this.#weather.dropped.has(direction) || this.#abandoned === from) return;
      this.#later(() => {
        if (to.destroyed || to.write(bytes)) return;
        from.pause();
        to.once("drain", () => this.update());
      });
    });
    from.on("end", () => this.#later(() => to.end()));
    from.on("error", () => undefined);
    from.on("close", () => {
      if (this.#abandoned !== to) this.#later(() => to.destroySoon());
      this.#settle();
    });
  }

  /** In the order of arrival, even when the delay becomes shorter meanwhile. */
  #later(what: () => void): void {
    const dueMs = performance.now() + this.#weather.delayMs;
    if (this.#weather.delayMs === 0 && this.#waiting.length === 0) return what();
    this.#waiting.push({ dueMs, what });
    this.#arm();
  }

  #arm(): void {
    const first = this.#waiting[0];
    if (first === undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#runDue(), Math.max(0, first.dueMs - performance.now()));
  }

  #runDue(): void {
    this.#timer = undefined;
    while (this.#waiting[0] !== undefined && this.#waiting[0].dueMs <= performance.now()) {
      this.#waiting.shift()?.what();
    }
    this.#arm();
  }

  #settle(): void {
    if (!this.#client.destroyed || !this.#target.destroyed) return;
    clearTimeout(this.#timer);
    this.#waiting.length = 0;
    this.#onGone();
  }
}
