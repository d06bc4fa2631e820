import { testCertificates } from "@hubwire/testkit";
import type { TestCertificate } from "@hubwire/testkit";
import { listenTls, tlsConnector } from "@hubwire/transport";
import type {
  ByteStream,
  RefusedConnection,
  TlsConnectorOptions,
  TlsListener,
  TlsListenOptions,
} from "@hubwire/transport";
import { afterEach } from "vitest";
import { Collector } from "./collector.ts";

export const certificates = await testCertificates();
export const noSignal = new AbortController().signal;

const open: { destroy(): void }[] = [];
const listeners: TlsListener[] = [];

afterEach(async () => {
  for (const stream of open.splice(0)) stream.destroy();
  await Promise.all(listeners.splice(0).map((listener) => listener.close()));
});

/** Destroyed after the test, whatever happened. */
export function cleanUp<T extends { destroy(): void }>(thing: T): T {
  open.push(thing);
  return thing;
}

export type TestServer = {
  listener: TlsListener;
  port: number;
  /** The streams that came in, each being read. */
  accepted: Collector[];
  refused: RefusedConnection[];
  nextStream(): Promise<Collector>;
  nextRefusal(): Promise<RefusedConnection>;
};

/** A TLS server on a free loopback port, with the test authority's certificate unless told otherwise. */
export async function startServer(
  options: Partial<TlsListenOptions> & { identity?: TestCertificate } = {},
): Promise<TestServer> {
  const { identity = certificates.server, ...rest } = options;
  const streams = new Inbox<Collector>();
  const refusals = new Inbox<RefusedConnection>();
  const listener = await listenTls({
    host: "127.0.0.1",
    port: 0,
    key: identity.key,
    cert: identity.fullChain,
    onStream: (stream) => streams.put(new Collector(cleanUp(stream))),
    onRefused: (refused) => refusals.put(refused),
    ...rest,
  });
  listeners.push(listener);
  return {
    listener,
    port: listener.port,
    accepted: streams.all,
    refused: refusals.all,
    nextStream: () => streams.next(),
    nextRefusal: () => refusals.next(),
  };
}

/** A stream to it that trusts the test root. */
export async function connectTo(
  port: number,
  options: Partial<TlsConnectorOptions> = {},
): Promise<ByteStream> {
  const dial = tlsConnector({ host: "127.0.0.1", port, ca: certificates.root.cert, ...options });
  return cleanUp(await dial(noSignal));
}

/** What came, and a promise for what comes next. */
class Inbox<T> {
  readonly all: T[] = [];
  #taken = 0;
  #wake: (() => void) | undefined;

  put(item: T): void {
    this.all.push(item);
    this.#wake?.();
  }

  async next(): Promise<T> {
    while (this.#taken === this.all.length) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.all[this.#taken++] as T;
  }
}
