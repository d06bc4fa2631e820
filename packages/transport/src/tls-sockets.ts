import type { Socket } from "node:net";
import type { ConnectionOptions, SecureContext, SecureContextOptions, TLSSocket } from "node:tls";
import { net, tls } from "./builtins.ts";
import { socketStep } from "./dial-attempt.ts";
import type { DialAttempt } from "./dial-attempt.ts";
import type { TlsDialerOptions, TlsIdentity } from "./dial.ts";
import { linkedChain } from "./peer-certificate.ts";
import { parseProxy } from "./proxy/proxy-address.ts";
import type { ProxyAddress } from "./proxy/proxy-address.ts";
import { presentedBy } from "./presented-certificate.ts";
import { trustingContext } from "./tls-context.ts";
import { checkedAuthorities, identityOptions } from "./tls-credentials.ts";
import { connectError } from "./tls-errors.ts";
import { Pins } from "./tls-pins.ts";

/** How many identities and servers are remembered: the hub, the provisioning service, and one to change over to. */
const rememberedMax = 4;

/** What is kept for one identity. */
type Kept = {
  identity: TlsIdentity | undefined;
  context: SecureContext;
  /** The latest session ticket by server; none with a client certificate, because servers lose its chain then. */
  tickets: Map<string, Buffer>;
};

/**
 * TLS sockets to any server, with whatever is needed to reach and to trust it. Server certificates are always validated.
 * Contexts and session tickets are kept between attempts, which halves what a reconnect costs.
 */
export class TlsSockets {
  readonly #options: TlsDialerOptions;
  readonly #authorities: readonly string[];
  readonly #pins: Pins | undefined;
  readonly #proxy: ProxyAddress | undefined;
  #kept: Kept[] = [];

  /** @throws IotError `transport.tls_credentials` when a CA cannot be used, `argument.invalid` */
  constructor(options: TlsDialerOptions) {
    this.#options = options;
    this.#authorities = checkedAuthorities(options.ca);
    this.#pins = options.pins === undefined ? undefined : new Pins(options.pins);
    this.#proxy = options.proxy === undefined ? undefined : parseProxy(options.proxy);
    this.#keptFor(undefined);
  }

  /** @throws IotError `transport.tls_credentials` */
  check(identity: TlsIdentity): void {
    this.#keptFor(identity);
  }

  /** @throws IotError */
  async open(attempt: DialAttempt): Promise<TLSSocket> {
    attempt.signal.throwIfAborted();
    const kept = this.#keptFor(attempt.identity);
    if (this.#proxy === undefined) return this.#secure(kept, attempt, undefined);
    // Loaded by those who need it.
    const { openThroughProxy } = await import("./proxy/open-through-proxy.ts");
    const tunnel = await openThroughProxy(this.#proxy, attempt, this.#keptFor(undefined).context);
    attempt.phase = "the TLS handshake";
    return this.#secure(kept, attempt, tunnel);
  }

  #secure(kept: Kept, attempt: DialAttempt, tunnel: Socket | undefined): Promise<TLSSocket> {
    const { host, port, serverName } = attempt;
    const { alpnProtocols } = this.#options;
    const server = `${host}:${port}`;
    const ticket = kept.tickets.get(server);
    const socket = tls().connect({
      ...(tunnel === undefined ? { host, port } : { socket: tunnel }),
      ...secureOptions(serverName),
      secureContext: kept.context,
      ...(alpnProtocols && { ALPNProtocols: [...alpnProtocols] }),
      ...(ticket && { session: ticket }),
    });
    if (tunnel === undefined) socket.setNoDelay(true);
    return this.#handshake(socket, attempt, (latest) => {
      if (attempt.identity !== undefined) return;
      kept.tickets.delete(server);
      kept.tickets.set(server, latest);
      forgetOldest(kept.tickets);
    });
  }

  #handshake(
    socket: TLSSocket,
    attempt: DialAttempt,
    keepTicket: (ticket: Buffer) => void,
  ): Promise<TLSSocket> {
    const errorOf = (error: Error): Error => connectError(error, attempt);
    let isTrusted = false;
    // TLS 1.2 brings its ticket before the pins were looked at.
    let early: Buffer | undefined;
    socket.on("session", (ticket: Buffer) => {
      if (isTrusted) keepTicket(ticket);
      else early = ticket;
    });
    socket.once("lookup", () => (attempt.phase = "the TCP connection"));
    socket.once("connect", () => (attempt.phase = "the TLS handshake"));
    // Before Node's own listener, which destroys the socket of a server that is not trusted: for the words of the error only.
    socket.prependOnceListener("secure", () => (attempt.presented = presentedBy(socket)));
    return socketStep<TLSSocket>(socket, attempt.signal, errorOf, (resolve, reject) => {
      const onSecure = (): void => {
        try {
          this.#checkPins(socket, attempt);
        } catch (error) {
          return reject(error as Error);
        }
        isTrusted = true;
        if (early !== undefined) keepTicket(early);
        resolve(socket);
      };
      socket.once("secureConnect", onSecure);
      return () => socket.removeListener("secureConnect", onSecure);
    });
  }

  /** A resumed session has no chain to look at; it was looked at when its ticket was taken. */
  #checkPins(socket: TLSSocket, attempt: DialAttempt): void {
    if (this.#pins === undefined || socket.isSessionReused()) return;
    this.#pins.check(linkedChain(socket), attempt);
  }

  #keptFor(identity: TlsIdentity | undefined): Kept {
    const known = this.#kept.find((kept) => kept.identity === identity);
    if (known !== undefined) return known;
    const { minVersion = "TLSv1.2", maxVersion } = this.#options;
    const options = {
      minVersion,
      ...(maxVersion && { maxVersion }),
      ...identityOptions(identity ?? {}),
    };
    const context =
      identity === undefined
        ? sharedContext(options, this.#authorities)
        : trustingContext(options, this.#authorities);
    const kept = { identity, context, tickets: new Map<string, Buffer>() };
    this.#kept = [kept, ...this.#kept.slice(0, rememberedMax - 1)];
    return kept;
  }
}

const sharedMax = 8;
const shared = new Map<string, SecureContext>();

/**
 * Without a client certificate all who trust the same authorities may use the same context: a gateway with a thousand devices
 * holds the system's roots once, and only its first connection pays for reading them (up to 25 ms on Node 20).
 */
function sharedContext(
  options: SecureContextOptions,
  authorities: readonly string[],
): SecureContext {
  const key = [options.minVersion, options.maxVersion, ...authorities].join("\n");
  let context = shared.get(key);
  if (context === undefined) {
    context = trustingContext(options, authorities);
    shared.set(key, context);
    const [oldest] = shared.keys();
    if (shared.size > sharedMax && oldest !== undefined) shared.delete(oldest);
  }
  return context;
}

/** What makes a handshake a check of the server. */
export function secureOptions(serverName: string): ConnectionOptions {
  return {
    // Said explicitly, so that NODE_TLS_REJECT_UNAUTHORIZED=0 cannot switch it off.
    rejectUnauthorized: true,
    checkServerIdentity: (_, certificate) => tls().checkServerIdentity(serverName, certificate),
    ...(net().isIP(serverName) ? {} : { servername: serverName }),
  };
}

function forgetOldest(tickets: Map<string, Buffer>): void {
  if (tickets.size <= rememberedMax) return;
  for (const server of tickets.keys()) return void tickets.delete(server);
}
