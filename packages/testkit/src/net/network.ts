import { IotError } from "@hubwire/protocol";
import type { ByteStream, Clock, OpenStream, PeerInfo, Timer } from "@hubwire/transport";
import type { SeededRandom } from "../random.ts";
import { Cable } from "./cable.ts";
import type { LaneOptions } from "./lane.ts";

export type SimulatedNetworkOptions = {
  clock: Clock;
  random: SeededRandom;
  /** How new cables behave; may be changed at any time through `lanes`. */
  lanes?: LaneOptions;
};

export type DialOptions = {
  /** What the server is told about this client; its address is made up when missing. */
  client?: Partial<PeerInfo>;
  /** Overrides the network's own for this cable. */
  lanes?: LaneOptions;
  /** Default 30 s. */
  timeoutMs?: number;
};

/** A server's standing: "down" refuses, "silent" swallows every packet. A name never listened to does not resolve. */
export type Standing = "up" | "down" | "silent";

type Host = { standing: Standing; onStream: ((stream: ByteStream) => void) | undefined };

/** Round trips before bytes flow: one for TCP, one for TLS 1.3. */
const handshakeRoundTrips = 2;

/** A network on a virtual clock: servers have names, clients dial them, and everything in between can go wrong. */
export class SimulatedNetwork {
  lanes: LaneOptions;
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #hosts = new Map<string, Host>();
  readonly #cables = new Set<Cable>();
  #dials = 0;

  constructor(options: SimulatedNetworkOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.lanes = options.lanes ?? {};
  }

  /** The connections that are open, oldest first; half-open ones included. */
  get cables(): readonly Cable[] {
    return [...this.#cables];
  }

  /** From now on `name` takes connections. One listener per name; `close` leaves open connections alone. */
  listen(name: string, onStream: (stream: ByteStream) => void): { close(): void } {
    const host: Host = { standing: "up", onStream };
    if (this.#hosts.get(name)?.onStream !== undefined)
      throw new Error(`${name} has a listener already`);
    this.#hosts.set(name, host);
    return {
      close: () => {
        host.onStream = undefined;
      },
    };
  }

  /** What new connections to `name` meet. */
  stand(name: string, standing: Standing): void {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new Error(`nothing ever listened as ${name}`);
    host.standing = standing;
  }

  /** A connector to `name`, in the shape of every other one. */
  dial(name: string, options: DialOptions = {}): OpenStream {
    return (signal) => this.connect(name, options, signal);
  }

  connect(name: string, options: DialOptions = {}, signal?: AbortSignal): Promise<ByteStream> {
    const lanes = { ...this.lanes, ...options.lanes };
    const roundTripMs = 2 * (lanes.latencyMs ?? 5);
    const client = this.#clientPeer(name, options.client);
    return new Promise((resolve, reject) => {
      const timers: Timer[] = [];
      let cable: Cable | undefined;
      const settle = (): void => {
        for (const timer of timers) timer.cancel();
        signal?.removeEventListener("abort", onAbort);
      };
      const fail = (error: IotError): void => {
        settle();
        cable?.client.destroy();
        reject(error);
      };
      const onAbort = (): void =>
        fail(
          new IotError("call.aborted", `connecting to ${name} was aborted`, {
            cause: signal?.reason,
          }),
        );
      if (signal?.aborted) return onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      const after = (ms: number, what: () => void): void =>
        void timers.push(this.#clock.at(this.#clock.nowMs() + ms, what));

      const timeoutMs = options.timeoutMs ?? 30_000;
      after(timeoutMs, () =>
        fail(new IotError("transport.timeout", `${name} did not answer in ${timeoutMs} ms`)),
      );
      after(roundTripMs, () => {
        const host = this.#hosts.get(name);
        if (host === undefined)
          return fail(new IotError("transport.dns", `the name ${name} could not be resolved`));
        if (host.standing === "silent") return;
        if (host.standing === "down" || host.onStream === undefined) {
          return fail(new IotError("transport.refused", `nothing listens as ${name}`));
        }
        after((handshakeRoundTrips - 1.5) * roundTripMs, () => {
          if (host.standing !== "up" || host.onStream === undefined) {
            return fail(new IotError("transport.reset", `${name} went away during the handshake`));
          }
          cable = this.#newCable(name, lanes, client);
          host.onStream(cable.server);
        });
        after((handshakeRoundTrips - 1) * roundTripMs, () => {
          if (cable === undefined) return;
          settle();
          resolve(cable.client);
        });
      });
    });
  }

  #clientPeer(name: string, given: Partial<PeerInfo> = {}): PeerInfo {
    const count = this.#dials++;
    const address = `10.${(count >> 16) & 255}.${(count >> 8) & 255}.${count & 255}:50000`;
    return { address, certificate: undefined, tlsVersion: "TLSv1.3", serverName: name, ...given };
  }

  #newCable(name: string, lanes: LaneOptions, clientPeer: PeerInfo): Cable {
    const serverPeer: PeerInfo = {
      address: `${name}:8883`,
      certificate: undefined,
      tlsVersion: clientPeer.tlsVersion,
      serverName: name,
    };
    const cable = new Cable({
      name,
      clock: this.#clock,
      random: this.#random.fork(),
      lanes,
      serverPeer,
      clientPeer,
      onClosed: (closed) => this.#cables.delete(closed),
    });
    this.#cables.add(cable);
    return cable;
  }
}
