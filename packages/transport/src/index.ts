export { crypto } from "./builtins.ts";
export type * from "./clock.ts";
export type * from "./stream.ts";
export { systemClock } from "./system-clock.ts";
export { VirtualClock } from "./virtual-clock.ts";
export type { RunLimits, VirtualClockOptions } from "./virtual-clock.ts";
export { Driver } from "./driver.ts";
export type { CloseCause, DriverOptions } from "./driver.ts";
export { SocketStream } from "./socket-stream.ts";
export type { SocketStreamOptions } from "./socket-stream.ts";
export type * from "./dial.ts";
export { tlsDialer, tlsPeer } from "./tls-dialer.ts";
export { DialAttempt, socketStep } from "./dial-attempt.ts";
export { autoDialer } from "./auto-dialer.ts";
export type { AutoDialerOptions, Route } from "./auto-dialer.ts";
export { TlsSockets } from "./tls-sockets.ts";
export { connectError } from "./tls-errors.ts";
export { streamError } from "./socket-errors.ts";
export { printable } from "./printable.ts";
export { publicKeyPin } from "./tls-pins.ts";
export type { PinOptions, PinReport, PresentedKey } from "./tls-pins.ts";
export type { ProxyOption } from "./proxy/proxy-address.ts";
export { tlsConnector } from "./tls-connector.ts";
export type { TlsConnectorOptions } from "./tls-connector.ts";
export { listen } from "./listen.ts";
export { listenTls, tlsPeers } from "./tls-listener.ts";
export type {
  Listener,
  RefusedConnection,
  ServerCredentials,
  TlsListener,
  TlsListenOptions,
} from "./tls-listener.ts";
export { listenTcp, tcpConnector } from "./tcp.ts";
export type { TcpConnectorOptions, TcpListenOptions } from "./tcp.ts";
export { memoryStreamPair } from "./memory-stream.ts";
export type { MemoryStreamOptions } from "./memory-stream.ts";
