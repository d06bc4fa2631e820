import { IotError } from "@hubwire/protocol";
import { tlsDialer } from "@hubwire/transport";
import type { Clock, Dial, DialerOptions, TlsDial, Transport } from "@hubwire/transport";
import { invalid } from "../calls/errors.ts";
import { pemText } from "../credentials/certificate.ts";
import type { Pem } from "../credentials/credentials.ts";
import type { DeviceOptions } from "./options.ts";

export type DiallingOptions = Pick<
  DeviceOptions,
  "transport" | "proxy" | "ca" | "pins" | "port" | "openStream"
>;

export type DiallingContext = {
  clock: Clock;
  attemptTimeoutMs: number;
  /** Told the hub's time, Unix milliseconds, where the transport learns it. */
  onServerTime?: (unixMs: number) => void;
};

/** Not a literal: the package is somebody's choice, and neither compiler nor bundler is to look for it. */
const webSocketPackage: string = "@hubwire/websocket";

/**
 * How streams to the hub are opened, by the options that say so.
 * @throws IotError `argument.invalid`, `transport.tls_credentials`
 */
export function diallerOf(options: DiallingOptions, context: DiallingContext): TlsDial {
  const { openStream, transport = "tls", ca, pins, proxy, port } = options;
  if (openStream !== undefined) {
    const dial: Dial = (_target, signal) => openStream(signal);
    return Object.assign(dial, { check: () => undefined });
  }
  const { clock, attemptTimeoutMs, onServerTime } = context;
  const given: DialerOptions = {
    clock,
    // It knows better than the attempt's own deadline what was slow, so it gets to say so first.
    timeoutMs: Math.ceil(attemptTimeoutMs * 0.9),
    ...(ca !== undefined && { ca: listOf(ca).map(pemText) }),
    ...(pins !== undefined && { pins }),
    ...(proxy !== undefined && { proxy }),
    ...(onServerTime !== undefined && { onServerTime }),
  };
  if (transport === "tls") return tlsDialer(given);
  if (transport === "auto") return automatic(given);
  if (!isTransport(transport)) {
    throw invalid(`transport is "tls", "auto" or webSocket() of ${webSocketPackage}`);
  }
  // "port" is that of MQTT over TLS for a transport that has both.
  const isOnly = transport.kind === "websocket" && port !== undefined;
  return transport.dialer(isOnly ? { ...given, port } : given);
}

/** The other package is loaded by the first attempt to connect; what can be checked without it is checked now. */
function automatic(given: DialerOptions): TlsDial {
  const { check } = tlsDialer(given);
  let loaded: Promise<TlsDial> | undefined;
  const dial: Dial = async (target, signal) => {
    loaded ??= loadAuto().then((transport) => transport.dialer(given));
    return (await loaded)(target, signal);
  };
  return Object.assign(dial, { check });
}

async function loadAuto(): Promise<Transport> {
  try {
    const { auto } = (await import(webSocketPackage)) as { auto: () => Transport };
    return auto();
  } catch (cause) {
    const message = `transport "auto" needs the package ${webSocketPackage}, which cannot be loaded`;
    throw new IotError("transport.websocket_missing", message, { cause });
  }
}

const isTransport = (value: unknown): value is Transport =>
  typeof (value as Transport | null)?.dialer === "function";

const listOf = (ca: Pem | readonly Pem[]): readonly Pem[] =>
  typeof ca === "string" || ca instanceof Uint8Array ? [ca] : ca;
